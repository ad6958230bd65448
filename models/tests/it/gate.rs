//! The quality gate with photographs: each spoilt in one way, and told what would help.

use std::path::Path;

use drivers::vision::{Hint, Outcome};
use image::RgbImage;
use image::imageops::{FilterType, blur, resize};
use models::detect::{Face, SCORE_MIN, Size};
use models::gallery::Gallery;
use models::image::Frame;
use models::manifest::Models;
use models::session::{Ended, Gathered, Side};
use models::{Look, Pipeline};

use crate::{faces_folder, models_folder};

const PEOPLE: [&str; 3] = ["photos/person_a.jpg", "photos/person_b_2.jpg", "photos/astronaut.png"];

fn frame(picture: &RgbImage) -> Frame {
    Frame::from_rgb(picture.width() as usize, picture.height() as usize, picture.as_raw().clone()).unwrap()
}

struct Shop {
    pipeline: Pipeline,
    picture: RgbImage,
    face: Face,
}

impl Shop {
    fn hint(&self, picture: &RgbImage) -> Option<Hint> {
        match self.pipeline.look(&frame(picture)).unwrap() {
            Look::Usable(_) => None,
            Look::Unusable(hint) => Some(hint),
            Look::NoFace => panic!("no face"),
        }
    }

    /// Distance between the eyes, in pixels.
    fn eyes(&self) -> f32 {
        let [left, right, ..] = self.face.landmarks;
        (right[0] - left[0]).hypot(right[1] - left[1])
    }

    /// The photograph with a box painted over it, in distances between the eyes about a landmark.
    fn painted(&self, colour: [u8; 3], at: usize, [left, top, right, bottom]: [f32; 4]) -> RgbImage {
        let mut picture = self.picture.clone();
        let ([x, y], eyes) = (self.face.landmarks[at], self.eyes());
        for py in (y + top * eyes).max(0.0) as u32..((y + bottom * eyes) as u32).min(picture.height()) {
            for px in (x + left * eyes).max(0.0) as u32..((x + right * eyes) as u32).min(picture.width()) {
                picture.put_pixel(px, py, image::Rgb(colour));
            }
        }
        picture
    }
}

fn each(faces: &Path, models: &Path, check: impl Fn(&str, &Shop)) {
    let mut pipeline = Some(Pipeline::load(&Models::built_in(models)).unwrap());
    for name in PEOPLE {
        let picture = image::open(faces.join(name)).unwrap().to_rgb8();
        let here = pipeline.take().unwrap();
        let mut found = here.detector.detect(&frame(&picture), Size::Large640, SCORE_MIN).unwrap();
        found.sort_by(|a, b| b.area().total_cmp(&a.area()));
        let shop = Shop { pipeline: here, picture, face: found.remove(0) };
        check(name, &shop);
        pipeline = Some(shop.pipeline);
    }
}

#[test]
fn a_photograph_spoilt_in_one_way_is_told_what_would_help() {
    let (Some(models), Some(faces)) = (models_folder(), faces_folder()) else { return };
    each(&faces, &models, |name, shop| {
        assert_eq!(shop.hint(&shop.picture), None, "{name} as it is");
        let [left, top, width, height] = shop.face.bounds;
        let dimmed = 24.0 / frame(&shop.picture).brightness(left, top, width, height);
        let dark = RgbImage::from_fn(shop.picture.width(), shop.picture.height(), |x, y| {
            image::Rgb(shop.picture.get_pixel(x, y).0.map(|level| (f32::from(level) * dimmed) as u8))
        });
        assert_eq!(shop.hint(&dark), Some(Hint::MoreLight), "{name} in the dark");
        assert_eq!(shop.hint(&blur(&shop.picture, shop.eyes() / 11.0)), Some(Hint::HoldStill), "{name} blurred");
        let share = 48.0 / shop.face.bounds[2];
        let side = |length: u32| (length as f32 * share) as u32;
        let small =
            resize(&shop.picture, side(shop.picture.width()), side(shop.picture.height()), FilterType::Triangle);
        let mut far = RgbImage::new(640, 480);
        image::imageops::overlay(&mut far, &small, 0, 0);
        assert_eq!(shop.hint(&far), Some(Hint::ComeCloser), "{name} far away");
    });
}

#[test]
fn a_face_behind_a_mask_dark_glasses_a_hand_or_a_telephone_is_asked_to_be_uncovered() {
    let (Some(models), Some(faces)) = (models_folder(), faces_folder()) else { return };
    each(&faces, &models, |name, shop| {
        for (what, covered) in [
            ("white mask", shop.painted([225, 228, 230], 2, [-1.0, 0.1, 1.0, 1.4])),
            ("blue mask", shop.painted([110, 150, 190], 2, [-1.0, 0.1, 1.0, 1.4])),
            ("dark glasses", shop.painted([15, 15, 18], 2, [-1.1, -0.85, 1.1, -0.25])),
            ("telephone", shop.painted([20, 20, 20], 1, [-0.45, -0.6, 0.7, 1.3])),
        ] {
            // What covers most of a face may leave no face to speak of; but it is never used.
            let look = shop.pipeline.look(&frame(&covered)).unwrap();
            eprintln!("{name}, {what}: {look:?}");
            assert!(matches!(look, Look::Unusable(Hint::UncoverFace) | Look::NoFace), "{name}, {what}: {look:?}");
        }
    });
}

/// Two people of the ORL database: three photographs each in which they look ahead, then one more.
#[test]
fn a_head_that_turns_when_asked_is_told_from_one_that_does_not() {
    let (Some(models), Some(faces)) = (models_folder(), faces_folder()) else { return };
    let pipeline = Pipeline::load(&Models::built_in(&models)).unwrap();
    let gallery = Gallery::in_memory().unwrap();
    let outcome = |side: Side, person: u8, photographs: [u8; 4]| {
        let mut gathered = Gathered::asking(Some(side));
        for number in photographs {
            let small = image::open(faces.join(format!("orl/att_faces/s{person}/{number}.pgm"))).unwrap().to_rgb8();
            let mut scene = RgbImage::from_pixel(640, 480, image::Rgb([90; 3]));
            image::imageops::overlay(&mut scene, &resize(&small, 276, 336, FilterType::Triangle), 180, 70);
            let look = pipeline.look(&frame(&scene)).unwrap();
            let Look::Usable(mut probe) = look else { panic!("s{person}/{number} is not usable: {look:?}") };
            eprintln!("s{person}, photograph {number}: turned by {:.2}", probe.turn);
            // These are scans of prints: whether they live is not the question here.
            probe.live = 1.0;
            gathered.take(Look::Usable(probe));
        }
        assert_eq!(gathered.usable(), 3, "the turned face is no part of the template");
        gathered.conclude(Ended::SourceEnded, &gallery.search(None)).unwrap()
    };
    assert_eq!(outcome(Side::Left, 26, [2, 6, 7, 5]), Outcome::NoMatch, "turned to the left: live, and nobody we know");
    assert_eq!(outcome(Side::Right, 1, [1, 2, 4, 6]), Outcome::NoMatch);
    assert_eq!(outcome(Side::Left, 1, [1, 2, 4, 6]), Outcome::NotLive, "the other way");
    assert_eq!(outcome(Side::Right, 26, [2, 6, 7, 1]), Outcome::NotLive, "not at all");
}

#[test]
fn infrared_light_shows_a_face_and_no_screen() {
    let (Some(models), Some(faces)) = (models_folder(), faces_folder()) else { return };
    each(&faces, &models, |name, shop| {
        let lit = image::DynamicImage::ImageRgb8(shop.picture.clone()).grayscale().to_rgb8();
        assert_eq!(shop.pipeline.infrared(&frame(&lit)).unwrap(), 1.0, "{name} lit");
        let screen = RgbImage::from_fn(lit.width(), lit.height(), |x, y| {
            image::Rgb(lit.get_pixel(x, y).0.map(|level| level / 10))
        });
        assert_eq!(shop.pipeline.infrared(&frame(&screen)).unwrap(), 0.0, "{name} on a screen, which is black");
    });
}
