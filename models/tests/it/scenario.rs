//! Enrol one person, then see who is taken for them.

use std::path::{Path, PathBuf};

use drivers::vision::{Hint, Outcome};
use models::gallery::Gallery;
use models::image::Frame;
use models::manifest::Models;
use models::session::{Ended, Gathered};
use models::{Look, Pipeline};

use crate::{faces_folder, models_folder};

struct Shop {
    pipeline: Pipeline,
    gallery: Gallery,
}

impl Shop {
    fn look(&self, faces: &Path, name: &str) -> Look {
        self.pipeline.look(&Frame::read(&faces.join(name)).unwrap()).unwrap()
    }

    fn gather(&self, faces: &Path, names: &[&str]) -> Gathered {
        let mut gathered = Gathered::default();
        for name in names {
            let hint = gathered.take(self.look(faces, name));
            eprintln!("{name}: {} usable, live {:.3}, hint {hint:?}", gathered.usable(), gathered.live());
        }
        gathered
    }

    fn recognise(&self, faces: &Path, names: &[&str]) -> Outcome {
        let gathered = self.gather(faces, names);
        let outcome = gathered.conclude(Ended::SourceEnded, &self.gallery.search(None)).unwrap();
        let nearest = gathered
            .fused()
            .and_then(|probe| self.gallery.search(None).nearest(&probe).first().map(|found| found.cosine));
        eprintln!("{names:?}: {outcome:?}, nearest {nearest:?}");
        outcome
    }
}

/// A shop that knows one person from three photographs; `None` where models or photographs are missing.
fn shop() -> Option<(Shop, PathBuf)> {
    let (models, faces) = (models_folder()?, faces_folder()?);
    let mut shop =
        Shop { pipeline: Pipeline::load(&Models::built_in(&models)).unwrap(), gallery: Gallery::in_memory().unwrap() };
    let enrolment = ["photos/person_a.jpg", "photos/person_a_2.jpg", "photos/person_a_3.jpg"];
    let template = shop.gather(&faces, &enrolment).template(3).unwrap();
    shop.gallery.enrol("m-a", &crate::consent(), &template, 3).unwrap();
    Some((shop, faces))
}

#[test]
fn a_member_is_recognised_from_other_photographs() {
    let Some((shop, faces)) = shop() else { return };
    let others = ["photos/person_a_1.jpg", "photos/person_a_480p.jpg", "photos/person_a_partial_face2.jpg"];
    for probe in [&others[..1], &others[1..2], &others] {
        let outcome = shop.recognise(&faces, probe);
        assert!(matches!(outcome, Outcome::Match { member, .. } if member == "m-a"), "{probe:?}");
    }
}

#[test]
fn strangers_prints_screens_and_cats_are_not_members() {
    let Some((shop, faces)) = shop() else { return };
    for (photographs, outcome) in [
        (&["photos/person_b.jpg", "photos/person_b_2.jpg"][..], Outcome::NoMatch),
        (&["photos/astronaut.png"], Outcome::NoMatch),
        (&["spoof/minivision_image_F1.png"], Outcome::NotLive),
        (&["spoof/minivision_image_F2.png"], Outcome::NotLive),
        (&["spoof/minivision_image_T1.png"], Outcome::NoMatch),
        (&["photos/chelsea.png"], Outcome::NoFace),
        (&["photos/coffee.png", "photos/rocket.jpg"], Outcome::NoFace),
    ] {
        assert_eq!(shop.recognise(&faces, photographs), outcome, "{photographs:?}");
    }
}

#[test]
fn two_people_are_asked_to_stand_apart() {
    let Some((shop, faces)) = shop() else { return };
    let pair = shop.look(&faces, "photos/pair_ab.jpg");
    assert!(matches!(pair, Look::Unusable(Hint::OnePerson)));
    let names = ["photos/person_a.jpg", "photos/person_b.jpg", "photos/person_b_2.jpg"];
    let refused = shop.gather(&faces, &names).template(2).unwrap_err();
    assert!(refused.contains("more than one person"), "{refused}");
}
