//! Which camera it is: model and socket, as the kernel's device tree says of the descriptor that is open.
//!
//! A name such as `/dev/video0` can come to mean another camera, and software can offer a camera that shows whatever it
//! likes. So the open device is asked, not its name; cameras of software are refused, and a session has one camera.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Fault;

/// Drivers of cameras that are made of software.
const SOFTWARE: [&str; 12] = [
    "v4l2loopback",
    "vivid",
    "vimc",
    "vim2m",
    "vicodec",
    "visl",
    "akvcam",
    "g_webcam",
    "uvc_gadget",
    "dummy_hcd",
    "usbip",
    "vhci_hcd",
];
/// Of the Linux Foundation: what a computer calls itself that plays a USB device.
const GADGET_VENDOR: u16 = 0x1d6b;

/// A camera the kernel knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// USB vendor and product.
    pub usb: Option<(u16, u16)>,
    /// Where it is plugged in: the USB socket, such as `1-1.4`, or the device's name on another bus.
    pub port: String,
    /// Whether it hangs on a bus that people plug things into.
    pub plugged: bool,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((vendor, product)) = self.usb {
            write!(f, "usb={vendor:04x}:{product:04x}&")?;
        }
        write!(f, "port={}", self.port)
    }
}

/// What of a camera the configuration pins down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Binding {
    pub usb: Option<(u16, u16)>,
    pub port: Option<String>,
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usb = self.usb.map(|(vendor, product)| format!("usb={vendor:04x}:{product:04x}"));
        let port = self.port.as_ref().map(|port| format!("port={port}"));
        let parts: Vec<String> = usb.into_iter().chain(port).collect();
        f.write_str(&parts.join("&"))
    }
}

impl Binding {
    /// Whether the configuration says which camera it is.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.port.is_some()
    }

    /// # Errors
    /// It is another camera, or one that has to be named and is not.
    pub fn holds(&self, found: &Identity) -> Result<(), Fault> {
        let refused = |wanted: String| Fault::NotBound { found: found.to_string(), wanted };
        let fits = self.usb.is_none_or(|usb| found.usb == Some(usb))
            && self.port.as_ref().is_none_or(|port| *port == found.port);
        if !fits {
            return Err(refused(self.to_string()));
        }
        if !found.plugged && self.port.is_none() {
            return Err(refused(format!("to be named: add port={}", found.port)));
        }
        Ok(())
    }
}

/// The USB ids of `046d:082d`.
///
/// # Errors
/// Says what they look like.
pub fn usb_ids(text: &str) -> Result<(u16, u16), String> {
    let hex = |text: &str| u16::from_str_radix(text, 16).ok().filter(|_| text.len() == 4 && !text.starts_with('+'));
    let ids = text.split_once(':').and_then(|(vendor, product)| Some((hex(vendor)?, hex(product)?)));
    ids.ok_or_else(|| format!("usb={text:?}: vendor and product look like 046d:082d"))
}

/// What `sys` (`/sys`) says of a character device.
///
/// # Errors
/// It is gone, or made of software.
pub fn identify(sys: &Path, major: u32, minor: u32) -> Result<Identity, Fault> {
    let node = sys.join("dev/char").join(format!("{major}:{minor}"));
    let absent = |_| Fault::Absent(format!("{major}:{minor}"));
    let node = node.canonicalize().map_err(absent)?;
    let root = sys.canonicalize().map_err(absent)?;
    let told = node.strip_prefix(&root).unwrap_or(&node).display().to_string();
    // Nothing stands behind the devices of `virtual`; behind these drivers stands a program.
    let device = node.join("device").canonicalize().map_err(|_| Fault::Virtual(told.clone()))?;
    let drivers = device.ancestors().take_while(|folder| **folder != root).filter_map(driver);
    let software = |name: &str| SOFTWARE.iter().any(|known| name == *known || name.starts_with(&format!("{known}.")));
    let named = node.iter().filter_map(|part| part.to_str()).any(|part| part == "virtual" || software(part));
    if named || drivers.into_iter().any(|name| software(&name)) {
        return Err(Fault::Virtual(told));
    }
    let usb = device.ancestors().find_map(|folder| Some((usb_of(folder)?, folder)));
    let Some((usb, folder)) = usb else {
        let plugged = subsystem(&device).is_some_and(|bus| bus == "pci");
        return Ok(Identity { usb: None, port: name(&device), plugged });
    };
    if usb.0 == GADGET_VENDOR {
        return Err(Fault::Virtual(told));
    }
    Ok(Identity { usb: Some(usb), port: name(folder), plugged: true })
}

/// Cameras the kernel knows, by the name of their node: what each is, or why it is refused.
///
/// # Errors
/// There is no list of them.
pub fn cameras(sys: &Path) -> std::io::Result<Vec<(String, Result<Identity, Fault>)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(sys.join("class/video4linux"))? {
        let entry = entry?;
        let numbers = line(&entry.path().join("dev"));
        let numbers = numbers.as_deref().and_then(|text| text.split_once(':'));
        let Some((Ok(major), Ok(minor))) = numbers.map(|(major, minor)| (major.parse(), minor.parse())) else {
            continue;
        };
        found.push((entry.file_name().to_string_lossy().into_owned(), identify(sys, major, minor)));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

fn usb_of(folder: &Path) -> Option<(u16, u16)> {
    let id = |file: &str| u16::from_str_radix(&line(&folder.join(file))?, 16).ok();
    Some((id("idVendor")?, id("idProduct")?))
}

fn driver(folder: &Path) -> Option<String> {
    linked(&folder.join("driver"))
}

fn subsystem(folder: &Path) -> Option<String> {
    linked(&folder.join("subsystem"))
}

fn linked(link: &Path) -> Option<String> {
    let target: PathBuf = std::fs::read_link(link).ok()?;
    Some(name(&target))
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn line(file: &Path) -> Option<String> {
    let bytes = crate::model::read_capped(file, 256).ok()?;
    Some(String::from_utf8(bytes).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests;
