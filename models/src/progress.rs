//! How far a long task is, for whoever waits at a terminal.

use std::io::IsTerminal;

/// One line on a terminal, redrawn per percent; silent elsewhere.
pub struct Progress<'a> {
    name: &'a str,
    total: u64,
    percent: u64,
    terminal: bool,
}

impl<'a> Progress<'a> {
    pub fn new(name: &'a str, total: u64) -> Self {
        Self { name, total: total.max(1), percent: u64::MAX, terminal: std::io::stderr().is_terminal() }
    }

    pub fn show(&mut self, done: u64) {
        let percent = (done * 100 / self.total).min(100);
        if self.terminal && percent != self.percent {
            self.percent = percent;
            let end = if percent == 100 { "\n" } else { "" };
            let (filled, rest) = ("#".repeat(percent as usize / 4), " ".repeat(25 - percent as usize / 4));
            eprint!("\r{:<42} [{filled}{rest}] {percent:3} %{end}", self.name);
        }
    }
}
