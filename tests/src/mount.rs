//! File systems of a test's own: small ones, ones that fail, ones whose writes are counted. They need root.

use anyhow::{Result, ensure};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Gone with the value.
#[derive(Debug)]
pub struct Mount {
    pub at: PathBuf,
    image: Option<PathBuf>,
}

impl Mount {
    /// In memory, of so many kilobytes. None where the test may not mount; says so.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn memory(at: &Path, kilobytes: u32) -> Result<Option<Self>> {
        std::fs::create_dir_all(at)?;
        let mounted = run("mount", &["-t", "tmpfs", "-o", &format!("size={kilobytes}k"), "tmpfs"], at);
        Ok(told(mounted, at, None))
    }

    /// ext4 on a file, as on a card; an error makes it read-only. None where the test may not mount; says so.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn card(at: &Path, megabytes: u64) -> Result<Option<Self>> {
        std::fs::create_dir_all(at)?;
        let image = at.with_extension("img");
        std::fs::File::create(&image)?.set_len(megabytes * 1024 * 1024)?;
        let made = run("mkfs.ext4", &["-q", "-F"], &image);
        let mounted = made.and_then(|()| {
            let image = image.display().to_string();
            run("mount", &["-o", "loop,errors=remount-ro,noatime", &image], at)
        });
        Ok(told(mounted, at, Some(image)))
    }

    /// Comes back after an error, as a card that was taken out and put in again.
    ///
    /// # Errors
    /// It does not.
    pub fn again(&self) -> Result<()> {
        run("umount", &[], &self.at)?;
        let image = self.image.as_deref().unwrap_or(Path::new("")).display().to_string();
        run("mount", &["-o", "loop,errors=remount-ro,noatime", &image], &self.at)
    }

    /// The device under it, such as `loop0`.
    #[must_use]
    pub fn device(&self) -> Option<String> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
        let at = self.at.display().to_string();
        let line = mounts.lines().rfind(|line| line.split(' ').nth(1) == Some(&at))?;
        Some(line.split(' ').next()?.strip_prefix("/dev/")?.to_owned())
    }

    /// Writes until no more than `kilobytes` are free; the file that took the room.
    ///
    /// # Errors
    /// The file system cannot be asked, or takes nothing more.
    pub fn leave(&self, kilobytes: u64) -> Result<PathBuf> {
        let told = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(&self.at).output()?;
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        let free: u64 = told.split_whitespace().filter_map(|word| word.parse::<u64>().ok()).product();
        let path = self.at.join("filler");
        let mut file = std::fs::File::options().create(true).append(true).open(&path)?;
        file.write_all(&vec![0; usize::try_from(free.saturating_sub(kilobytes * 1024))?])?;
        Ok(path)
    }

    /// Writes until nothing more fits; the file that took all the room.
    ///
    /// # Errors
    /// There is always more room.
    pub fn fill(&self) -> Result<PathBuf> {
        let path = self.at.join("filler");
        let mut file = std::fs::File::options().create(true).append(true).open(&path)?;
        for size in [64 * 1024, 4096, 512] {
            let zeros = vec![0; size];
            for _ in 0..100_000 {
                if file.write_all(&zeros).and_then(|()| file.sync_data()).is_err() {
                    break;
                }
            }
        }
        ensure!(file.write_all(&[0; 4096]).is_err(), "there is no end of room");
        Ok(path)
    }
}

fn told(mounted: Result<()>, at: &Path, image: Option<PathBuf>) -> Option<Mount> {
    match mounted {
        Ok(()) => Some(Mount { at: at.to_owned(), image }),
        Err(error) => {
            eprintln!("skipped: {error:#}");
            None
        }
    }
}

fn run(program: &str, arguments: &[&str], on: &Path) -> Result<()> {
    let output = Command::new(program).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").args(arguments).arg(on).output();
    let output = output.map_err(|error| anyhow::anyhow!("{program} cannot run here: {error}"))?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).output();
    }
}
