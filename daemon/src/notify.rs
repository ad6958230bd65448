//! `sd_notify(3)`: ready, and the watchdog fed by finished turns only.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

#[derive(Debug)]
pub struct Notify {
    socket: Option<(UnixDatagram, std::ffi::OsString)>,
}

impl Notify {
    /// Talks to whoever started us, if it listens.
    #[must_use]
    pub fn new() -> Self {
        let path = std::env::var_os("NOTIFY_SOCKET");
        let socket = path.and_then(|path| Some((UnixDatagram::unbound().ok()?, path)));
        Self { socket }
    }

    pub fn send(&self, state: &str) {
        let Some((socket, path)) = &self.socket else { return };
        use std::os::unix::ffi::OsStrExt as _;
        // A leading '@' names the abstract namespace.
        let sent = match path.as_bytes().strip_prefix(b"@") {
            Some(name) => {
                use std::os::linux::net::SocketAddrExt as _;
                std::os::unix::net::SocketAddr::from_abstract_name(name)
                    .and_then(|address| socket.send_to_addr(state.as_bytes(), &address))
            }
            None => socket.send_to(state.as_bytes(), path),
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }

    /// Half of what systemd allows between two signs of life; ten seconds without a watchdog.
    #[must_use]
    pub fn heartbeat() -> Duration {
        let allowed = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        allowed.map_or(Duration::from_secs(10), |micros: u64| Duration::from_micros(micros / 2))
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}
