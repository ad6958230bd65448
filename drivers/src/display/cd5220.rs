//! Poles of two lines with the CD5220 command set (9600 8N1): `ESC Q A` upper line, `ESC Q B` lower line.

use super::{name, plain};
use crate::escpos::gb;
use crate::options;
use crate::{Cap, Driver, In, Kind, LinkKind, Out, Spec};
use checkout::device::{DeviceCommand, Show, Shown};
use checkout::words::{Language, Mono};
use serde::Deserialize;

pub const SPEC: Spec = Spec {
    name: "pole-cd5220",
    kind: Kind::Display,
    links: &[LinkKind::Serial, LinkKind::Tcp, LinkKind::File],
    caps: &[Cap::Text],
    quirks: &[],
    example: "name = \"display-1\"\ndriver = \"pole-cd5220\"\nlink = \"serial:/dev/ttyUSB1?baud=9600\"",
    build: |options| Ok(Box::new(Pole { options: options::parse(options)? })),
};

const WIDTH: usize = 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    charset: Charset,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Charset {
    /// Everything is said in English.
    #[default]
    Ascii,
    Gb18030,
}

struct Pole {
    options: Options,
}

impl Pole {
    fn show(&self, show: &Show, out: &mut Out) {
        let language = match self.options.charset {
            Charset::Ascii => Language::En,
            Charset::Gb18030 => show.language,
        };
        let say = |zh: &'static str, en: &'static str| match language {
            Language::Zh => zh,
            Language::En => en,
        };
        let amount = |amount| plain(&show.currency, amount);
        let (upper, lower) = match &show.what {
            Shown::Welcome { store } => {
                ((say("欢迎光临", "WELCOME"), String::new()), (name(store, language), String::new()))
            }
            Shown::Line { name: goods, price, total } => {
                ((name(goods, language), amount(*price)), (say("合计", "TOTAL"), amount(*total)))
            }
            Shown::Due { due } => ((say("请付款", "PLEASE PAY"), String::new()), (say("应付", "DUE"), amount(*due))),
            Shown::Paid { change } => {
                ((say("谢谢惠顾", "THANK YOU"), String::new()), (say("找零", "CHANGE"), amount(*change)))
            }
        };
        self.row(b'A', upper.0, &upper.1, out);
        self.row(b'B', lower.0, &lower.1, out);
    }

    /// `left` is cut where `right` needs the room; exactly twenty columns.
    fn row(&self, row: u8, left: &str, right: &str, out: &mut Out) {
        let room = WIDTH.saturating_sub(right.len() + usize::from(!right.is_empty()));
        let mut bytes = Vec::new();
        for character in left.chars() {
            let one = match self.options.charset {
                Charset::Ascii if !character.is_ascii() => gb('?'),
                Charset::Ascii | Charset::Gb18030 => gb(character),
            };
            if bytes.len() + one.columns() > room {
                break;
            }
            bytes.extend_from_slice(one.bytes());
        }
        bytes.resize(WIDTH.saturating_sub(right.len()), b' ');
        bytes.extend(right.bytes().take(WIDTH));
        out.send(&[0x1B, b'Q', row]);
        out.send(&bytes);
        out.send(b"\r");
    }
}

impl Driver for Pole {
    fn handle(&mut self, _now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => out.send(b"\x1b@\x0c"),
            In::Command(DeviceCommand::Show(show)) => self.show(show, out),
            In::Bytes(_)
            | In::Timeout
            | In::Command(
                DeviceCommand::Beep(_)
                | DeviceCommand::Trigger(_)
                | DeviceCommand::Light(_)
                | DeviceCommand::ReadWeight { .. }
                | DeviceCommand::Terminal(_)
                | DeviceCommand::Print(_)
                | DeviceCommand::Face(_),
            ) => {}
        }
    }
}
