//! Device trees as kernels lay them out, in a folder.

use super::*;
use std::os::unix::fs::symlink;

struct Tree {
    folder: tempfile::TempDir,
    minor: u32,
}

impl Tree {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), minor: 0 }
    }

    fn sys(&self) -> &Path {
        self.folder.path()
    }

    fn make(&self, path: &str) -> PathBuf {
        let folder = self.sys().join(path);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// A video node below `device`, whose driver is `driver`; returns what the kernel calls it.
    fn video(&mut self, device: &str, driver: &str, bus: &str) -> u32 {
        let minor = self.minor;
        self.minor += 1;
        let device = self.make(device);
        let node = device.join(format!("video4linux/video{minor}"));
        std::fs::create_dir_all(&node).unwrap();
        std::fs::write(node.join("dev"), format!("81:{minor}\n")).unwrap();
        symlink("../..", node.join("device")).unwrap();
        for (kind, target) in [("driver", format!("bus/{bus}/drivers/{driver}")), ("subsystem", format!("bus/{bus}"))] {
            let target = self.make(&target);
            if !device.join(kind).exists() {
                symlink(target, device.join(kind)).unwrap();
            }
        }
        symlink(&node, self.make("dev/char").join(format!("81:{minor}"))).unwrap();
        symlink(&node, self.make("class/video4linux").join(format!("video{minor}"))).unwrap();
        minor
    }

    /// A USB camera in a socket.
    fn usb(&mut self, controller: &str, port: &str, (vendor, product): (&str, &str)) -> u32 {
        let device = self.make(&format!("{controller}/usb1/{port}"));
        std::fs::write(device.join("idVendor"), format!("{vendor}\n")).unwrap();
        std::fs::write(device.join("idProduct"), format!("{product}\n")).unwrap();
        self.video(&format!("{controller}/usb1/{port}/{port}:1.0"), "uvcvideo", "usb")
    }

    fn identify(&self, minor: u32) -> Result<Identity, Fault> {
        identify(self.sys(), 81, minor)
    }
}

const PCI: &str = "devices/pci0000:00/0000:00:14.0";

#[test]
fn b20_a_usb_camera_is_known_by_its_ids_and_its_socket() {
    let mut tree = Tree::new();
    let camera = tree.usb(PCI, "1-1.4", ("046d", "082d"));
    let found = tree.identify(camera).unwrap();
    assert_eq!(found, Identity { usb: Some((0x046d, 0x082d)), port: "1-1.4".into(), plugged: true });
    assert_eq!(found.to_string(), "usb=046d:082d&port=1-1.4");
    let bound = |usb: &str, port: &str| Binding { usb: Some(usb_ids(usb).unwrap()), port: Some(port.into()) };
    assert_eq!(bound("046d:082d", "1-1.4").holds(&found), Ok(()));
    assert_eq!(Binding::default().holds(&found), Ok(()));
    for other in [bound("046d:0825", "1-1.4"), bound("046d:082d", "1-1.3")] {
        assert!(matches!(other.holds(&found), Err(Fault::NotBound { .. })), "{other}");
    }
    assert_eq!(tree.identify(7), Err(Fault::Absent("81:7".into())), "unplugged");
}

#[test]
fn b20_cameras_made_of_software_are_refused() {
    let mut tree = Tree::new();
    let refused = [
        // v4l2loopback has no device behind it.
        {
            let minor = tree.video("devices/virtual", "v4l2loopback", "platform");
            std::fs::remove_file(tree.sys().join(format!("devices/virtual/video4linux/video{minor}/device"))).unwrap();
            minor
        },
        tree.video("devices/virtual/other", "other", "platform"),
        tree.video("devices/platform/vivid.0", "vivid", "platform"),
        tree.video("devices/platform/vimc.0", "vimc", "platform"),
        tree.video("devices/akvcam-device", "akvcam", "akvcam"),
        // A computer that plays a USB camera, on a cable or without one.
        tree.usb(PCI, "1-2", ("1d6b", "0102")),
        tree.usb("devices/platform/dummy_hcd.0", "3-1", ("046d", "082d")),
        tree.usb("devices/platform/vhci_hcd.0", "5-1", ("046d", "082d")),
    ];
    for minor in refused {
        assert!(matches!(tree.identify(minor), Err(Fault::Virtual(_))), "video{minor}: {:?}", tree.identify(minor));
    }
    let listed = cameras(tree.sys()).unwrap();
    assert_eq!(listed.len(), refused.len());
    assert!(listed.iter().all(|(_, found)| found.is_err()));
}

#[test]
fn a_camera_of_the_board_has_to_be_named() {
    let mut tree = Tree::new();
    let camera = tree.video("devices/platform/soc/fe801000.csi", "unicam", "platform");
    let found = tree.identify(camera).unwrap();
    assert!(
        matches!(Binding::default().holds(&found), Err(Fault::NotBound { wanted, .. }) if wanted.contains("port=fe801000.csi"))
    );
    let named = Binding { usb: None, port: Some("fe801000.csi".into()) };
    assert_eq!(named.holds(&found), Ok(()));
}

#[test]
fn ids_are_read_as_written() {
    assert_eq!(usb_ids("046d:082d"), Ok((0x046d, 0x082d)));
    for wrong in ["", "046d", "46d:82d", "046d:082g", "046d:082d:1", "+46d:082d"] {
        assert!(usb_ids(wrong).is_err(), "{wrong}");
    }
}
