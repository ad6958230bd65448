//! The program as it is, and seven mistakes that must be caught. Each is one switch of the world around it; what runs is the same.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    AsBuilt,
    /// Money is asked for before the intent is on disk.
    ChargesBeforeCommit,
    /// The terminal's answer is acknowledged before it is on disk.
    AcknowledgesBeforeCommit,
    /// What was in flight when the power went is asked for again, where it should be asked about.
    ChargesAgainAtBoot,
    /// Headquarters acknowledges before it commits.
    AcknowledgesBeforeHqCommits,
    /// `synchronous=NORMAL`.
    SyncsSeldom,
    /// Headquarters keeps how far it got apart from the rows, and the rows have no keys.
    TakesTwice,
    /// Headquarters judges a hello that the broker brings twice as if it were said now.
    JudgesEveryHello,
}

impl Variant {
    pub const BROKEN: [Self; 7] = [
        Self::ChargesBeforeCommit,
        Self::AcknowledgesBeforeCommit,
        Self::ChargesAgainAtBoot,
        Self::AcknowledgesBeforeHqCommits,
        Self::SyncsSeldom,
        Self::TakesTwice,
        Self::JudgesEveryHello,
    ];
}
