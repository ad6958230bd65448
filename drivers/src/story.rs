//! Stories: what went over a line, written down so that a person can read it and a driver can live through it again.
//!
//! Bytes from the device (`>`), commands (`!`), bytes we must send (`<`), time that passes (`@ ms`) and, at the end, the
//! events it yields (`=`). Bytes are hexadecimal pairs or quoted text; `#` begins a remark.

/// One line of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Bytes(Vec<u8>),
    /// In the words of whoever plays it.
    Command(String),
    Sends(Vec<u8>),
    Wait(u64),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    pub steps: Vec<Step>,
    pub events: Vec<String>,
}

/// # Errors
/// Says which line is none of a story.
pub fn parse(text: &str) -> Result<Story, String> {
    let mut story = Story::default();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let wrong = || format!("{line:?} is no line of a story");
        let (mark, rest) = line.split_once(' ').ok_or_else(wrong)?;
        story.steps.push(match mark {
            ">" => Step::Bytes(bytes(rest).ok_or_else(wrong)?),
            "<" => Step::Sends(bytes(rest).ok_or_else(wrong)?),
            "!" => Step::Command(rest.into()),
            "@" => Step::Wait(rest.parse().map_err(|_| wrong())?),
            "=" => {
                story.events.push(rest.into());
                continue;
            }
            _ => return Err(wrong()),
        });
    }
    Ok(story)
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for (at, part) in text.split('"').enumerate() {
        if at % 2 == 1 {
            bytes.extend(part.replace("\\r", "\r").replace("\\n", "\n").bytes());
            continue;
        }
        for pair in part.split_whitespace() {
            bytes.push(u8::from_str_radix(pair, 16).ok()?);
        }
    }
    Some(bytes)
}
