//! The other database: the tests of this suite once more, each with a database of its own on a PostgreSQL that lives as long.

use crate::support::ON_POSTGRES;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

struct Server {
    process: Child,
    url: String,
    _data: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Debian keeps the programs of each version apart.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    folders.filter(|folder| folder.join("initdb").exists()).max()
}

/// It refuses to run as root.
fn as_nobody_special(program: &Path) -> Command {
    let root = std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0);
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
    command
}

fn start() -> Option<Server> {
    let programs = programs()?;
    let data = tempfile::tempdir().unwrap();
    // Whoever runs it makes its folder in here.
    std::fs::set_permissions(data.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let folder = data.path().join("pg");
    let mut made = as_nobody_special(&programs.join("initdb"));
    made.args(["-A", "trust", "-U", "aisle", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]).arg(&folder);
    let made = made.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !made.is_ok_and(|made| made.success()) {
        return None;
    }
    let mut server = as_nobody_special(&programs.join("postgres"));
    server.arg("-D").arg(&folder).arg("-k").arg(&folder);
    server.args(["-c", "listen_addresses=", "-c", "max_connections=200", "-c", "fsync=off"]).current_dir("/");
    let process = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let host = folder.to_str().unwrap().replace('/', "%2F");
    let server = Server { process, url: format!("postgres://aisle@{host}/"), _data: data };
    let until = Instant::now() + PATIENCE;
    while aisle_hq::db::Address::parse(&format!("{}postgres", server.url), None)
        .and_then(|address| aisle_hq::db::Connection::to(&address))
        .is_err()
    {
        assert!(Instant::now() < until, "PostgreSQL does not answer");
        std::thread::sleep(Duration::from_millis(100));
    }
    Some(server)
}

#[test]
fn every_test_of_this_suite_holds_on_postgresql() {
    if std::env::var_os(ON_POSTGRES).is_some() {
        return;
    }
    let Some(server) = start() else {
        println!("skipped: PostgreSQL is not installed, or may not be started");
        return;
    };
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--skip", "every_test_of_this_suite", "--test-threads", "2"]).env(ON_POSTGRES, &server.url);
    let ended = again.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{said}\n{}", String::from_utf8_lossy(&ended.stderr));
    let passed =
        said.lines().find_map(|line| line.strip_prefix("test result: ok. ")?.split_once(" passed")?.0.parse().ok());
    assert!(passed.is_some_and(|passed: u32| passed > 40), "{said}");
}
