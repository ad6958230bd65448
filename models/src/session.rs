//! One attempt: gathers what frames show until it can say who stands there, or that it cannot.

use drivers::vision::{Hint, Outcome};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::embed::Embedding;
use crate::gallery::{Nearest, Search};
use crate::liveness::LIVE_MIN;
use crate::threshold::Uncalibrated;
use crate::{Look, Probe};

/// Frames that decide, where the source has as many.
pub const FRAMES_WANTED: usize = 3;
/// Frames after which an undecided attempt ends.
const FRAMES_MAX: usize = 6;
/// Two frames less alike than this show two people; strangers stay below it all but once in a thousand.
const SAME_PERSON_MIN: f32 = 0.34;
/// How much nearer than anyone else a match must be.
pub const MARGIN_MIN: f32 = 0.05;

/// How much further than before a head has to turn when it is asked to, as [`crate::quality::turn`] tells it. Of a print or a screen
/// that is turned the nose stays where it is between the eyes.
const TURN_ASKED: f32 = 0.2;

/// Which way a head is asked to turn, as its owner says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

impl Side {
    /// Which way somebody is asked to turn: nobody can know it before.
    pub(crate) fn drawn() -> Self {
        let mut coin = [0];
        // Without chance one is as good as the other.
        let _ = SystemRandom::new().fill(&mut coin);
        if coin[0] % 2 == 0 { Self::Left } else { Self::Right }
    }

    const fn hint(self) -> Hint {
        match self {
            Self::Left => Hint::TurnLeft,
            Self::Right => Hint::TurnRight,
        }
    }
}

/// Why frames stopped coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    SourceEnded,
    Deadline,
}

/// Usable frames of one person.
#[derive(Debug, Default)]
pub struct Gathered {
    probes: Vec<Probe>,
    frames_seen: usize,
    faces_seen: usize,
    mixed: bool,
    hint: Option<Hint>,
    /// Which way the head still has to turn before anything is decided.
    asked: Option<Side>,
}

impl Gathered {
    /// The same for somebody who, once the frames suffice, has to turn the head as well.
    #[must_use]
    pub fn asking(side: Option<Side>) -> Self {
        Self { asked: side, ..Self::default() }
    }

    /// Takes one look and returns a hint when it differs from the last one given. A new face starts over.
    pub fn take(&mut self, look: Look) -> Option<Hint> {
        self.frames_seen += 1;
        let hint = match look {
            Look::NoFace => Some(Hint::LookAtCamera),
            Look::Unusable(hint) => {
                self.faces_seen += 1;
                Some(hint)
            }
            Look::Usable(probe) => {
                self.faces_seen += 1;
                self.add(probe)
            }
        };
        let fresh = hint.filter(|hint| self.hint != Some(*hint));
        self.hint = hint.or(self.hint);
        fresh
    }

    fn add(&mut self, probe: Probe) -> Option<Hint> {
        if let Some(side) = self.asked.filter(|_| self.usable() >= FRAMES_WANTED)
            && self.fused().is_some_and(|mean| mean.cosine(&probe.embedding) >= SAME_PERSON_MIN)
        {
            let before = self.probes.iter().map(|probe| probe.turn).sum::<f32>() / self.usable() as f32;
            let turned = match side {
                Side::Left => probe.turn - before,
                Side::Right => before - probe.turn,
            };
            // A turned face is no part of the template; it only shows that there is a head.
            self.asked = (turned < TURN_ASKED).then_some(side);
            return self.asked.map(Side::hint);
        }
        let other = self.fused().is_some_and(|mean| mean.cosine(&probe.embedding) < SAME_PERSON_MIN);
        if other {
            self.probes.clear();
            self.mixed = true;
        }
        self.probes.push(probe);
        other.then_some(Hint::OnePerson)
    }

    pub fn usable(&self) -> usize {
        self.probes.len()
    }

    /// Whether frames showed more than one person.
    pub fn mixed(&self) -> bool {
        self.mixed
    }

    /// Mean liveness of the frames, 0 to 1; 0 of none.
    pub fn live(&self) -> f32 {
        let sum: f32 = self.probes.iter().map(|probe| probe.live).sum();
        sum / self.probes.len().max(1) as f32
    }

    /// One embedding of all frames.
    pub fn fused(&self) -> Option<Embedding> {
        Embedding::mean(self.probes.iter().map(|probe| &probe.embedding))
    }

    /// Whether there are so many usable frames and nothing more is asked for.
    pub fn suffices(&self, frames: u8) -> bool {
        self.usable() >= frames.into() && self.asked.is_none()
    }

    /// A template of one live person, or why there is none.
    pub fn template(&self, frames: u8) -> Result<Embedding, String> {
        if self.mixed {
            return Err("the frames show more than one person".to_owned());
        }
        if self.usable() < frames.into() {
            return Err(format!("only {} of {frames} frames show a usable face", self.usable()));
        }
        if self.live() < LIVE_MIN || self.asked.is_some() {
            return Err("the frames do not show a live face".to_owned());
        }
        self.fused().ok_or_else(|| "the frames cancel each other out".to_owned())
    }

    /// Who it is, if the frames so far suffice.
    pub fn decide(&self, search: &Search<'_>) -> Result<Option<Outcome>, Uncalibrated> {
        if self.usable() < FRAMES_WANTED || self.asked.is_some() {
            return Ok(None);
        }
        let outcome = self.verdict(search)?;
        let settled = matches!(outcome, Outcome::Match { .. }) || self.usable() >= FRAMES_MAX;
        Ok(settled.then_some(outcome))
    }

    /// Who it is, now that no more frames come.
    pub fn conclude(&self, ended: Ended, search: &Search<'_>) -> Result<Outcome, Uncalibrated> {
        let enough = match ended {
            Ended::SourceEnded => 1,
            Ended::Deadline => FRAMES_WANTED,
        };
        if self.usable() >= enough {
            return self.verdict(search);
        }
        Ok(match ended {
            Ended::Deadline if self.faces_seen > 0 || self.frames_seen == 0 => Outcome::TimedOut,
            Ended::Deadline | Ended::SourceEnded => Outcome::NoFace,
        })
    }

    fn verdict(&self, search: &Search<'_>) -> Result<Outcome, Uncalibrated> {
        if self.live() < LIVE_MIN || self.asked.is_some() {
            return Ok(Outcome::NotLive);
        }
        let Some(probe) = self.fused() else {
            return Ok(Outcome::NoFace);
        };
        Ok(judge(&search.nearest(&probe), search.threshold()?))
    }
}

/// Applies threshold and margin to the two nearest members.
pub fn judge(nearest: &[Nearest<'_>], threshold: f32) -> Outcome {
    let Some(first) = nearest.first().filter(|first| first.cosine >= threshold) else {
        return Outcome::NoMatch;
    };
    if nearest.get(1).is_some_and(|second| first.cosine - second.cosine < MARGIN_MIN) {
        return Outcome::Ambiguous;
    }
    let score_milli = (first.cosine.clamp(0.0, 1.0) * 1000.0).round() as u16;
    Outcome::Match { member: first.member.to_owned(), score_milli }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::LENGTH;
    use crate::gallery::Gallery;

    fn probe(axis: usize, live: f32) -> Look {
        let mut numbers = vec![0.0; LENGTH];
        numbers[axis] = 1.0;
        Look::Usable(Probe { embedding: Embedding::normalised(numbers).unwrap(), live, turn: 0.0 })
    }

    fn turned(axis: usize, turn: f32) -> Look {
        let Look::Usable(straight) = probe(axis, 1.0) else { panic!("not usable") };
        Look::Usable(Probe { turn, ..straight })
    }

    fn nearest(cosines: &[f32]) -> Vec<Nearest<'static>> {
        cosines.iter().zip(["m-1", "m-2"]).map(|(&cosine, member)| Nearest { member, cosine }).collect()
    }

    #[test]
    fn b13_a_match_needs_threshold_and_margin() {
        let matched = Outcome::Match { member: "m-1".into(), score_milli: 700 };
        assert_eq!(judge(&nearest(&[0.7, 0.2]), 0.5), matched);
        assert_eq!(judge(&nearest(&[0.7, 0.68]), 0.5), Outcome::Ambiguous);
        assert_eq!(judge(&nearest(&[0.4, 0.2]), 0.5), Outcome::NoMatch);
        assert_eq!(judge(&[], 0.5), Outcome::NoMatch);
    }

    #[test]
    fn a_second_person_starts_over() {
        let mut gathered = Gathered::default();
        assert_eq!(gathered.take(probe(0, 1.0)), None);
        assert_eq!(gathered.take(probe(0, 1.0)), None);
        assert_eq!(gathered.take(probe(5, 0.1)), Some(Hint::OnePerson));
        assert!(gathered.mixed());
        assert_eq!(gathered.usable(), 1);
        assert!(gathered.live() < LIVE_MIN);
    }

    #[test]
    fn who_does_not_turn_the_head_when_asked_is_not_live() {
        let gallery = Gallery::in_memory().unwrap();
        let everybody = gallery.search(None);
        let straight = || {
            let mut gathered = Gathered::asking(Some(Side::Left));
            (0..3).for_each(|_| assert_eq!(gathered.take(turned(0, 0.05)), None));
            assert_eq!(gathered.decide(&everybody).unwrap(), None, "nothing is decided before");
            assert_eq!(gathered.take(turned(0, 0.1)), Some(Hint::TurnLeft));
            assert!(!gathered.suffices(3) && gathered.template(3).is_err());
            gathered
        };
        let mut print = straight();
        print.take(turned(0, -0.4));
        assert_eq!(print.conclude(Ended::Deadline, &everybody).unwrap(), Outcome::NotLive, "the other way");

        let mut other = straight();
        assert_eq!(other.take(turned(9, 0.4)), Some(Hint::OnePerson), "somebody else turns in their place");
        assert_eq!(other.usable(), 1);

        let mut live = straight();
        assert_eq!(live.take(turned(0, 0.3)), None);
        assert!(live.suffices(3) && live.template(3).is_ok() && live.usable() == 3);
        assert_eq!(live.conclude(Ended::Deadline, &everybody).unwrap(), Outcome::NoMatch);
    }

    #[test]
    fn liveness_is_a_mean_and_empty_attempts_have_no_face() {
        let gallery = Gallery::in_memory().unwrap();
        let everybody = gallery.search(None);
        let mut gathered = Gathered::default();
        assert_eq!(gathered.conclude(Ended::Deadline, &everybody).unwrap(), Outcome::TimedOut, "nobody looked");
        assert_eq!(gathered.take(Look::NoFace), Some(Hint::LookAtCamera));
        assert_eq!(gathered.take(Look::NoFace), None, "a hint is given once");
        assert_eq!(gathered.conclude(Ended::Deadline, &everybody).unwrap(), Outcome::NoFace);
        gathered.take(Look::Unusable(Hint::ComeCloser));
        assert_eq!(gathered.conclude(Ended::Deadline, &everybody).unwrap(), Outcome::TimedOut);
        for live in [0.9, 0.2, 0.1] {
            gathered.take(probe(1, live));
        }
        assert_eq!(gathered.decide(&everybody).unwrap(), None, "an undecided attempt looks on");
        assert_eq!(gathered.conclude(Ended::Deadline, &everybody).unwrap(), Outcome::NotLive);
    }
}
