//! Where a run works: beside the executables, so that everything measured lies on the disk it was built on.

use anyhow::{Context, Result, ensure};
use std::path::PathBuf;

#[derive(Debug)]
pub struct Place {
    /// The daemon as it ships.
    pub aisled: PathBuf,
    /// What the run leaves behind.
    pub out: PathBuf,
    /// Emptied at start, gone at the end.
    pub work: PathBuf,
}

impl Place {
    /// From `target/ci/deps/figures-…`: the daemon is `target/ci/aisled`, results go to `target/bench`.
    pub fn find() -> Result<Self> {
        let ours = std::env::current_exe()?;
        let profile = ours.ancestors().nth(2).context("the bench lies in no target folder")?;
        let aisled = profile.join("aisled");
        ensure!(aisled.exists(), "there is no {}: run `make bench`, which builds it", aisled.display());
        let out = profile.parent().context("the bench lies in no target folder")?.join("bench");
        let work = out.join("work");
        let _ = std::fs::remove_dir_all(&work);
        std::fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
        Ok(Self { aisled, out, work })
    }

    /// A fresh folder for one figure.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.work.join(name);
        std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.work);
    }
}
