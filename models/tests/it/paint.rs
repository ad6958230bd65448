//! Codes as our own receipts carry them, painted as a camera would see them.

use drivers::escpos::{Encoder, render};

/// A grey picture.
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub grey: Vec<u8>,
}

impl Picture {
    /// What an encoder prints, each dot `scale` pixels wide; letters are left out.
    pub fn of(print: impl FnOnce(&mut Encoder) -> &mut Encoder, scale: usize) -> Self {
        let mut encoder = Encoder::default();
        print(&mut encoder);
        let svg = render::svg(&encoder.finish(), 48);
        let size = |name: &str| attribute(&svg, name).parse::<usize>().expect("a size") * scale;
        let (width, height) = (size(" width=\""), size(" height=\""));
        let mut picture = Self { width, height, grey: vec![235; width * height] };
        for path in svg.split("<path d=\"").skip(1) {
            let path = path.split('"').next().expect("a path");
            path.split('M').filter(|part| part.ends_with('z')).for_each(|part| picture.fill(part, scale));
        }
        picture
    }

    /// `x yhWvHh-Wz`
    pub fn fill(&mut self, part: &str, scale: usize) {
        let numbers: Vec<usize> = part
            .split([' ', 'h', 'v', 'z', '-'])
            .filter_map(|number| number.parse().ok())
            .map(|n: usize| n * scale)
            .collect();
        let [x, y, wide, high, ..] = numbers[..] else { panic!("{part}") };
        for row in y..(y + high).min(self.height) {
            self.grey[row * self.width + x..row * self.width + (x + wide).min(self.width)].fill(20);
        }
    }
}

fn attribute<'a>(svg: &'a str, name: &str) -> &'a str {
    let start = svg.find(name).expect("an attribute") + name.len();
    svg[start..].split('"').next().expect("its end")
}
