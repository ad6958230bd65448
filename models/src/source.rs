//! Where frames come from: photographs on disk, or a camera that is open only while someone asked for it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::camera::identity::{Binding, usb_ids};
use crate::camera::v4l2::{Setup, film, real};
use crate::camera::{Fault, Fenced, rtsp};
use crate::image::Frame;

/// A folder plays at most this many photographs.
const FILES_CAP: usize = 1000;
/// What a camera is asked for unless the configuration says otherwise.
const SIZE: (u32, u32) = (1280, 720);
const FORMS: &str = "a source is file:FOLDER, file:LIST, camera:/dev/v4l/by-id/… (see `aisle-vision cameras`), nokhwa:/dev/video0 or rtsp://…";
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
    Camera(Setup),
    /// A V4L2 device through the adapter of that name.
    Nokhwa(PathBuf),
    /// A network camera's address. Nobody can say which camera answers there, so it reads codes and looks at no face.
    Network {
        address: String,
        /// The file with `user:password`.
        login: Option<PathBuf>,
    },
}

impl std::str::FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::Files(path.into())),
            Some(("camera", device)) if !device.is_empty() => setup(device).map(Self::Camera),
            Some(("nokhwa", device)) if !device.is_empty() => Ok(Self::Nokhwa(device.into())),
            Some(("rtsp", rest)) if rest.contains('@') => {
                Err("an address holds no name and password: they belong into the file --camera-login names".to_owned())
            }
            Some(("rtsp", rest)) if rest.len() > 2 && rest.starts_with("//") => {
                Ok(Self::Network { address: text.to_owned(), login: None })
            }
            Some(_) | None => Err(FORMS.to_owned()),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Files(path) => write!(f, "file:{}", path.display()),
            Self::Camera(setup) => {
                write!(f, "camera:{}", setup.path.display())?;
                if setup.binding == Binding::default() { Ok(()) } else { write!(f, "?{}", setup.binding) }
            }
            Self::Nokhwa(device) => write!(f, "nokhwa:{}", device.display()),
            Self::Network { address, .. } => f.write_str(address),
        }
    }
}

impl Source {
    /// Opens the source for one attempt.
    pub fn open(&self) -> anyhow::Result<Box<dyn FrameSource>> {
        match self {
            Self::Files(path) => Ok(Box::new(Photographs::new(list(path)?))),
            Self::Camera(setup) => Ok(Box::new(Fenced::open(self.to_string(), film(setup.clone(), real()))?)),
            #[cfg(feature = "camera-nokhwa")]
            Self::Nokhwa(device) => Ok(Box::new(Fenced::open(self.to_string(), crate::camera::nokhwa::film(device)?)?)),
            #[cfg(not(feature = "camera-nokhwa"))]
            Self::Nokhwa(_) => Err(Fault::Format(format!("{self} needs a build with --features camera-nokhwa")).into()),
            Self::Network { address, login } => {
                let film = rtsp::film(address, login.as_deref())?;
                Ok(Box::new(Fenced::open(self.to_string(), film)?))
            }
        }
    }

    /// The same with the file that a network camera's name and password stand in.
    #[must_use]
    pub fn with_login(self, file: Option<PathBuf>) -> Self {
        match self {
            Self::Network { address, .. } => Self::Network { address, login: file },
            Self::Files(_) | Self::Camera(_) | Self::Nokhwa(_) => self,
        }
    }

    /// Whether it is known which camera it is, as looking at faces asks.
    ///
    /// # Errors
    /// Why not.
    pub fn may_see_faces(&self) -> Result<(), Fault> {
        let wanted = || "a camera of this box: faces are not looked at through the network or an adapter".to_owned();
        match self {
            Self::Files(_) | Self::Camera(_) => Ok(()),
            Self::Nokhwa(_) | Self::Network { .. } => {
                Err(Fault::NotBound { found: self.to_string(), wanted: wanted() })
            }
        }
    }

    /// What a technician should know before the first session.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        let open = matches!(self, Self::Camera(setup) if !setup.binding.is_whole());
        open.then_some(
            "the camera is not bound: whatever is plugged in under that name is used; `aisle-vision cameras` prints \
             the source that names model and socket",
        )
    }
}

/// `/dev/video0?usb=046d:082d&port=1-1.4&pixels=mjpeg&size=1280x720`.
fn setup(text: &str) -> Result<Setup, String> {
    let (path, options) = text.split_once('?').unwrap_or((text, ""));
    let mut setup =
        Setup { path: path.into(), binding: Binding::default(), pixels: None, width: SIZE.0, height: SIZE.1 };
    for option in options.split('&').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("usb", ids)) => setup.binding.usb = Some(usb_ids(ids)?),
            Some(("port", port)) if !port.is_empty() => setup.binding.port = Some(port.to_owned()),
            Some(("pixels", name)) => setup.pixels = Some(name.parse()?),
            Some(("size", size)) => {
                let sides = size.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
                (setup.width, setup.height) = sides.ok_or_else(|| format!("size={size:?}: it looks like 1280x720"))?;
            }
            _ => return Err(format!("{option:?}: a camera takes usb=, port=, pixels= and size=")),
        }
    }
    Ok(setup)
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
    use crate::video::Pixels;

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
        let bound = "camera:/dev/v4l/by-path/pci-0000:00:14.0-usb-0:3:1.0-video-index0?usb=046d:082d&port=1-3";
        for text in ["file:photos", "camera:/dev/video0", bound, "nokhwa:/dev/video0", "rtsp://192.0.2.7/stream2"] {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        let Ok(Source::Camera(infrared)) = "camera:/dev/video2?pixels=grey&size=640x360".parse() else {
            panic!("none")
        };
        assert_eq!((infrared.pixels, infrared.width, infrared.height), (Some(Pixels::Grey), 640, 360));
        let wrong = [
            "http:x",
            "rtsp:",
            "camera:",
            "camera:/dev/video0?usb=1",
            "camera:/dev/video0?pixels=h264",
            "camera:/dev/video0?size=big",
            "camera:/dev/video0?colour=1",
        ];
        for text in wrong {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
        assert!("rtsp://user:secret@192.0.2.7/".parse::<Source>().unwrap_err().contains("--camera-login"));
    }

    #[test]
    fn only_a_camera_of_the_box_looks_at_faces() {
        let faces = |text: &str| text.parse::<Source>().unwrap().may_see_faces();
        assert_eq!(faces("camera:/dev/video0"), Ok(()));
        for text in ["nokhwa:/dev/video0", "rtsp://192.0.2.7/stream2"] {
            assert!(matches!(faces(text), Err(Fault::NotBound { .. })), "{text}");
        }
        assert!("camera:/dev/video0".parse::<Source>().unwrap().advice().is_some());
        assert!("camera:/dev/video0?port=1-3".parse::<Source>().unwrap().advice().is_none());
    }
}
