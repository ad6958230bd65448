//! The socket protocol of `aisle-vision`: one JSON object per line, both ways.
//!
//! To the daemon a camera with its models is one more device that reads members. Only opaque member ids, scores and
//! hints travel here; images and templates never leave the vision process.

pub mod codes;
pub mod driver;
mod preview;

pub use checkout::face::{Age, Channel, Consent, ErasureCause, ErasureReceipt};
pub use preview::{PREVIEW_SIDE, Preview};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Longest line either side accepts, newline excluded, in bytes.
pub const LINE_CAP: usize = 64 * 1024;
/// Longest member id, in bytes.
pub const MEMBER_CAP: usize = 64;

/// What a client asks of the vision process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Open the camera and identify whoever stands before it; exactly one `Outcome` or `Cancelled` follows.
    Recognise {
        attempt: u64,
        deadline_ms: u32,
        /// Only these members can be meant: the threshold is theirs, not the whole gallery's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        among: Option<Vec<String>>,
    },
    /// Give an attempt up; answered by `Cancelled` whether it ran or not.
    Cancel { attempt: u64 },
    /// Store a template of the person before the camera; answered by `Enrolled` or `EnrolRefused`.
    Enrol {
        #[serde(default)]
        attempt: u64,
        member: String,
        consent: Consent,
        frames: u8,
        deadline_ms: u32,
        /// Show whoever enrols a mirror image of themselves: some `Preview` before the answer, to this client only.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        preview: bool,
    },
    /// Destroy a member's template and its key; answered by `Erased`, also when there was none. A template of a consent
    /// given at `before_utc_ms` or later stays.
    Erase {
        member: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before_utc_ms: Option<i64>,
    },
    /// Open the camera and read barcodes and two-dimensional codes, nothing else, until it is stopped or the deadline
    /// has come: any number of `Code`, then exactly one `CodesEnded`.
    ReadCodes { session: u64, deadline_ms: u32 },
    /// Close the camera of such a session; answered by `CodesEnded` whether it ran or not.
    StopCodes { session: u64 },
    /// Ask what works; answered by `Status`.
    Status {},
    /// Choose the photographs that a demonstration's file camera plays; refused by a process that serves a store.
    Show { files: Vec<String> },
}

/// What the vision process answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Status(Status),
    /// What the shopper could do better; sent on change only.
    Guidance {
        attempt: u64,
        hint: Hint,
    },
    /// What the camera sees while somebody enrols, a few times a second.
    Preview {
        attempt: u64,
        preview: Preview,
    },
    Outcome {
        attempt: u64,
        outcome: Outcome,
    },
    Cancelled {
        attempt: u64,
    },
    Enrolled {
        attempt: u64,
        member: String,
        frames: u8,
    },
    EnrolRefused {
        attempt: u64,
        member: String,
        reason: String,
    },
    /// Also unasked, to every client, when a template has reached its end.
    Erased {
        member: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<ErasureReceipt>,
    },
    Shown {
        files: usize,
    },
    /// One symbol: its AIM identifier without `]`, and its data, printable ASCII and GS.
    Code {
        session: u64,
        aim: String,
        data: String,
    },
    CodesEnded {
        session: u64,
        end: CodesEnd,
    },
    Error {
        message: String,
    },
}

/// Whether faces can be recognised, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub models: Models,
    /// What installs the models, when they are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_hint: Option<String>,
    /// Enrolled members.
    pub gallery: u32,
    /// Members whose template another recogniser made: they have to enrol again.
    #[serde(default, skip_serializing_if = "is_none")]
    pub enrol_again: u32,
    /// There are more of them than the recogniser is calibrated for: an attempt has to say among whom to search.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub narrow: bool,
    pub source: String,
    /// Faces are seen in infrared as well; without it a camera sees colours only, and a face alone never pays.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub infrared: bool,
    /// What kept the last session from looking, for a while after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<CameraTrouble>,
}

const fn is_none(count: &u32) -> bool {
    *count == 0
}

/// State of the face models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Models {
    Ready,
    Missing,
}

/// How a session of reading codes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodesEnd {
    Stopped,
    TimedOut,
    /// A file source has no more photographs.
    SourceEnded,
    /// Too many sessions wait.
    Busy,
    Camera(CameraTrouble),
}

/// Why a camera cannot be looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CameraTrouble {
    /// It is not there, or was unplugged.
    Absent,
    /// Somebody else has it open.
    Busy,
    /// It is open and gives no picture: it hangs, is slow, or every frame is torn.
    NoPicture,
    /// It gives nothing that is understood.
    Format,
    /// A camera made of software, which shows whatever somebody likes.
    Virtual,
    /// Not the one of the configuration: another model, or another socket.
    NotBound,
    /// Another one than when the session began.
    Swapped,
    /// The operating system refuses.
    Refused,
}

/// Guidance for the shopper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    LookAtCamera,
    ComeCloser,
    StepBack,
    CentreFace,
    OnePerson,
    MoreLight,
    LessLight,
    HoldStill,
    /// Something covers eyes, nose or mouth.
    UncoverFace,
    /// Turn the head to one's own left: a print cannot.
    TurnLeft,
    TurnRight,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// One enrolled member, above the threshold and clear of everybody else; cosine in thousandths.
    Match {
        member: String,
        score_milli: u16,
    },
    /// Above the threshold, but a second member is too near.
    Ambiguous,
    NoMatch,
    NotLive,
    NoFace,
    TimedOut,
    /// Models, camera or threshold are missing; `Status` says which.
    Unavailable,
}

/// Why a line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("line is longer than {LINE_CAP} bytes and was dropped")]
    TooLong,
    #[error("line is not a known message: {0}")]
    Malformed(String),
}

/// Cuts a byte stream into lines, never holding more than [`LINE_CAP`] bytes.
#[derive(Debug, Default)]
pub struct Lines {
    pending: Vec<u8>,
    skipping: bool,
}

impl Lines {
    /// Takes bytes as they arrive and returns the lines they complete; blank lines vanish.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Result<Vec<u8>, LineError>> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (body, ended) = match piece.split_last() {
                Some((b'\n', body)) => (body, true),
                Some(_) | None => (piece, false),
            };
            self.take(body);
            if ended {
                lines.extend(self.finish());
            }
        }
        lines
    }

    fn take(&mut self, body: &[u8]) {
        if self.skipping || self.pending.len() + body.len() > LINE_CAP {
            self.skipping = true;
            self.pending = Vec::new();
        } else {
            self.pending.extend_from_slice(body);
        }
    }

    fn finish(&mut self) -> Option<Result<Vec<u8>, LineError>> {
        let line = std::mem::take(&mut self.pending);
        if std::mem::take(&mut self.skipping) {
            return Some(Err(LineError::TooLong));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        Some(Ok(line))
    }
}

/// One message as a line, newline included.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, LineError> {
    let mut line = serde_json::to_vec(message).map_err(malformed)?;
    if line.len() > LINE_CAP {
        return Err(LineError::TooLong);
    }
    line.push(b'\n');
    Ok(line)
}

/// A message from one line, newline excluded.
pub fn decode<T: DeserializeOwned>(line: &[u8]) -> Result<T, LineError> {
    serde_json::from_slice(line).map_err(malformed)
}

fn malformed(error: serde_json::Error) -> LineError {
    let text = error.to_string();
    LineError::Malformed(text.chars().take(200).collect())
}

/// Whether a member id is one that every side can carry: 1 to [`MEMBER_CAP`] of `A-Z a-z 0-9 . _ -`.
pub fn is_member_id(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !id.is_empty() && id.len() <= MEMBER_CAP && id.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_as_documented() {
        let request: Request = decode(br#"{"recognise":{"attempt":7,"deadline_ms":4000}}"#).unwrap();
        assert_eq!(request, Request::Recognise { attempt: 7, deadline_ms: 4000, among: None });
        assert_eq!(decode::<Request>(br#"{"status":{}}"#).unwrap(), Request::Status {});
        let reply = Reply::Outcome { attempt: 7, outcome: Outcome::Match { member: "m-001".into(), score_milli: 812 } };
        let line = r#"{"outcome":{"attempt":7,"outcome":{"match":{"member":"m-001","score_milli":812}}}}"#;
        assert_eq!(encode(&reply).unwrap(), format!("{line}\n").into_bytes());
        let plain = Reply::Outcome { attempt: 7, outcome: Outcome::NoMatch };
        assert_eq!(encode(&plain).unwrap(), b"{\"outcome\":{\"attempt\":7,\"outcome\":\"no_match\"}}\n");
    }

    #[test]
    fn any_chunking_gives_the_same_lines() {
        let stream = b"{\"status\":{}}\n\n  \r\ngarbage\n{\"cancel\":{\"attempt\":1}}\n";
        let whole = Lines::default().feed(stream);
        assert_eq!(whole.len(), 3);
        for size in 1..stream.len() {
            let mut lines = Lines::default();
            let cut: Vec<_> = stream.chunks(size).flat_map(|chunk| lines.feed(chunk)).collect();
            assert_eq!(cut, whole, "chunks of {size}");
        }
    }

    #[test]
    fn an_endless_line_is_dropped_and_the_next_one_read() {
        let mut lines = Lines::default();
        for _ in 0..40 {
            assert!(lines.feed(&[b'x'; 4096]).is_empty());
            assert!(lines.pending.len() <= LINE_CAP);
        }
        let after = lines.feed(b"\n{\"status\":{}}\n");
        assert_eq!(after[0], Err(LineError::TooLong));
        assert_eq!(after[1].as_deref(), Ok(&b"{\"status\":{}}"[..]));
    }

    #[test]
    fn unknown_words_are_refused() {
        assert!(decode::<Request>(br#"{"recognise":{"attempt":1,"deadline_ms":1,"x":2}}"#).is_err());
        assert!(decode::<Request>(b"\xff\xfe").is_err());
        assert!(!is_member_id("../m"));
        assert!(is_member_id("m-001"));
    }
}
