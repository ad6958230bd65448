//! Where frames come from: photographs on disk, or a camera that is open only while someone asked for it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::image::Frame;

/// A folder plays at most this many photographs.
const FILES_CAP: usize = 1000;
const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "png", "pgm", "ppm", "pnm"];

/// What a source gave.
#[derive(Debug)]
pub enum Pulled {
    Frame(Frame),
    /// No frame came before the deadline.
    Late,
    /// There are no more.
    Ended,
}

/// Frames, one after another; dropping it closes what it opened.
pub trait FrameSource: Send {
    /// Waits for the next frame until the deadline.
    fn next(&mut self, deadline: Instant) -> anyhow::Result<Pulled>;
}

/// What the process was told to look through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder, one photograph, or a text file that lists photographs.
    Files(PathBuf),
    /// A V4L2 device.
    Camera(PathBuf),
}

impl std::str::FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::Files(path.into())),
            Some(("camera", device)) if !device.is_empty() => Ok(Self::Camera(device.into())),
            Some(_) | None => Err("a source is file:FOLDER, file:LIST or camera:/dev/video0".to_owned()),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Files(path) => write!(f, "file:{}", path.display()),
            Self::Camera(device) => write!(f, "camera:{}", device.display()),
        }
    }
}

impl Source {
    /// Opens the source for one attempt.
    pub fn open(&self) -> anyhow::Result<Box<dyn FrameSource>> {
        match self {
            Self::Files(path) => Ok(Box::new(Photographs::new(list(path)?))),
            #[cfg(feature = "camera")]
            Self::Camera(device) => Ok(Box::new(crate::camera::Camera::open(device)?)),
            #[cfg(not(feature = "camera"))]
            Self::Camera(device) => {
                anyhow::bail!(
                    "cannot open {}: this build has no camera; build with --features camera",
                    device.display()
                )
            }
        }
    }
}

/// The photographs a path names: a folder's in the order of their names, a list's in its own order, or the file itself.
pub fn list(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    use anyhow::Context;
    let at = || format!("cannot read photographs from {}", path.display());
    if path.is_dir() {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).with_context(at)? {
            files.push(entry.with_context(at)?.path());
        }
        files.retain(|file| is_photograph(file));
        files.sort();
        files.truncate(FILES_CAP);
        return Ok(files);
    }
    if is_photograph(path) {
        return Ok(vec![path.to_owned()]);
    }
    let text = crate::model::read_capped(path, 1 << 20).with_context(at)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let text = String::from_utf8(text).with_context(at)?;
    let names = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(names.map(|name| folder.join(name)).take(FILES_CAP).collect())
}

fn is_photograph(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str()))
}

/// Resolves names to photographs that really lie under a folder, links followed.
pub fn within(folder: &Path, names: &[String]) -> Result<Vec<PathBuf>, String> {
    let root = folder.canonicalize().map_err(|error| format!("{}: {error}", folder.display()))?;
    if names.len() > FILES_CAP {
        return Err(format!("more than {FILES_CAP} photographs"));
    }
    names
        .iter()
        .map(|name| {
            let path = root.join(name).canonicalize().map_err(|error| format!("{name}: {error}"))?;
            let inside = path.starts_with(&root) && path.is_file();
            inside.then_some(path).ok_or_else(|| format!("{name} is not a file under the source folder"))
        })
        .collect()
}

/// Photographs played once, in order; one that cannot be read is named in the log and skipped.
#[derive(Debug)]
pub struct Photographs {
    files: std::vec::IntoIter<PathBuf>,
}

impl Photographs {
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self { files: files.into_iter() }
    }
}

impl FrameSource for Photographs {
    fn next(&mut self, deadline: Instant) -> anyhow::Result<Pulled> {
        if Instant::now() >= deadline {
            return Ok(Pulled::Late);
        }
        for file in self.files.by_ref() {
            match Frame::read(&file) {
                Ok(frame) => return Ok(Pulled::Frame(frame)),
                Err(error) => tracing::warn!("{error}"),
            }
        }
        Ok(Pulled::Ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outside_the_folder_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(inside.join("a.png"), b"x").unwrap();
        std::fs::write(dir.path().join("secret.png"), b"x").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret.png"), inside.join("link.png")).unwrap();
        assert_eq!(within(&inside, &["a.png".into()]).unwrap().len(), 1);
        for name in ["../secret.png", "link.png", "/etc/passwd", "missing.png", "."] {
            assert!(within(&inside, &[name.into()]).is_err(), "{name}");
        }
    }

    #[test]
    fn a_list_names_files_beside_it_and_bad_ones_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.pgm"), b"P5 2 1 255\n\x10\x20").unwrap();
        std::fs::write(dir.path().join("b.jpg"), b"garbage").unwrap();
        let names = dir.path().join("names.txt");
        std::fs::write(&names, "# demo\nb.jpg\nmissing.png\na.pgm\n").unwrap();
        let mut source = Source::Files(names).open().unwrap();
        let far = Instant::now() + std::time::Duration::from_secs(60);
        assert!(matches!(source.next(far).unwrap(), Pulled::Frame(frame) if frame.width() == 2));
        assert!(matches!(source.next(far).unwrap(), Pulled::Ended));
        assert_eq!(list(dir.path()).unwrap().len(), 2);
    }

    #[test]
    fn sources_read_as_written() {
        for text in ["file:photos", "camera:/dev/video0"] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        assert!("http:x".parse::<Source>().is_err());
    }
}
