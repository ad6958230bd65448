//! How many files and connections this process may have open.

use anyhow::{Context as _, ensure};
use rlimit::{ProcLimits, Resource};

/// Files of the database, logs, listeners.
const OWN: u64 = 64;

/// Makes room for so many connections, as far as the system lets this process.
///
/// # Errors
/// When the hard limit is lower: says so, and how it is raised.
pub(crate) fn room_for(connections: u64) -> anyhow::Result<()> {
    let wanted = connections + OWN;
    // Read from /proc: the hardened service may not ask the system for limits, and is given enough by its unit.
    let limits = ProcLimits::read_self().context("/proc/self/limits cannot be read")?;
    let limit = limits.max_open_files.context("/proc/self/limits names no limit of open files")?;
    let (soft, hard) = (limit.soft_limit.unwrap_or(u64::MAX), limit.hard_limit.unwrap_or(u64::MAX));
    if soft >= wanted {
        return Ok(());
    }
    ensure!(
        hard >= wanted,
        "{connections} connections need {wanted} open files and this process may have {hard}: raise LimitNOFILE= of its unit, or `ulimit -Hn`"
    );
    Resource::NOFILE.set(wanted, hard).context("the limit of open files cannot be raised")
}
