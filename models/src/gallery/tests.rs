use drivers::vision::Channel;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::*;
use crate::session::judge;
use drivers::vision::Outcome;

const NOW: i64 = 1_795_000_000_000;

fn consent() -> Consent {
    Consent {
        purpose: "face pay".into(),
        text_version: "2026-11".into(),
        text_sha256: "0f".repeat(32),
        at_utc_ms: NOW,
        channel: Channel::Staff,
        until_utc_ms: None,
        age: Age::FourteenOrOver,
        guardian: None,
    }
}

fn person(seed: usize) -> Embedding {
    Embedding::normalised((0..LENGTH).map(|i| ((i * 7 + seed * 31) as f32).sin()).collect()).unwrap()
}

fn key(byte: u8) -> Zeroizing<[u8; KEY_LENGTH]> {
    Zeroizing::new([byte; KEY_LENGTH])
}

fn gallery_of(path: &Path, members: usize) -> Gallery {
    let mut gallery = Gallery::open(path, key(1)).unwrap();
    for member in 0..members {
        gallery.enrol(&format!("m-{member}"), &consent(), &person(member), 3).unwrap();
    }
    gallery
}

fn withdraw(gallery: &mut Gallery, member: &str) -> Option<ErasureReceipt> {
    gallery.erase(member, None, ErasureCause::Withdrawn, NOW).unwrap()
}

fn holds(dir: &Path, needle: &[u8]) -> bool {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    files.into_iter().any(|bytes| memchr::memmem::find(&bytes, needle).is_some())
}

fn wrapped(gallery: &Gallery, member: &str) -> Vec<u8> {
    let sql = "SELECT wrapped FROM member_key WHERE member = ?1";
    gallery.member_keys.query_row(sql, [member], |row| row.get(0)).unwrap()
}

fn stored(gallery: &Gallery, member: &str) -> Vec<u8> {
    gallery.database.query_row("SELECT sealed FROM face WHERE member = ?1", [member], |row| row.get(0)).unwrap()
}

fn best(gallery: &Gallery, probe: &Embedding) -> (String, f32) {
    let nearest = gallery.search(None).nearest(probe);
    (nearest[0].member.to_owned(), nearest[0].cosine)
}

fn template(gallery: &Gallery, member: &str) -> Vec<f32> {
    gallery.index.template(gallery.slots[member]).unwrap().to_vec()
}

#[test]
fn members_survive_a_restart_and_only_with_the_right_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gallery.db");
    let mut gallery = gallery_of(&path, 3);
    let mut reopened = Gallery::open(&path, key(1)).unwrap();
    let (member, cosine) = best(&reopened, &person(2));
    assert!(member == "m-2" && (cosine - 1.0).abs() < 1e-5);
    assert!(matches!(Gallery::open(&path, key(2)), Err(GalleryError::WrongKey)));
    withdraw(&mut gallery, "m-2");
    reopened.refresh().unwrap();
    assert_eq!(reopened.len(), 2, "what one process erases, the other forgets");
}

#[test]
fn b01_the_database_itself_refuses_a_template_without_consent() {
    let mut gallery = Gallery::in_memory().unwrap();
    for broken in [
        Consent { purpose: String::new(), ..consent() },
        Consent { text_version: String::new(), ..consent() },
        Consent { text_sha256: String::new(), ..consent() },
        Consent { at_utc_ms: 0, ..consent() },
        Consent { until_utc_ms: Some(NOW), ..consent() },
    ] {
        let refused = gallery.enrol("m-1", &broken, &person(1), 3);
        assert!(matches!(refused, Err(GalleryError::NoConsent(_))), "{broken:?}");
    }
    let columns = "member, model, frames, sealed, consent_purpose, consent_text, consent_sha256, consent_at, channel, under_14, seen";
    let hash = "0f".repeat(32);
    let insert =
        |values: &str| gallery.database.execute(&format!("INSERT INTO face ({columns}) VALUES ({values})"), []);
    let good = format!("'m', 'x', 3, x'00', 'p', 't', '{hash}', 1, 'staff', 0, 1");
    for bad in [
        good.replace("'p'", "NULL"),
        good.replace("'t'", "''"),
        good.replace(&hash, "no hash"),
        good.replace(", 1, 'staff'", ", 0, 'staff'"),
        good.replace("'staff'", "'telephone'"),
        good.replace("'x', 3", "'x', 2"),
    ] {
        assert!(insert(&bad).is_err(), "{bad}");
    }
    assert_eq!(insert(&good).unwrap(), 1, "the rows above were refused for what they lack");
}

#[test]
fn b09_the_database_itself_refuses_a_child_without_a_guardian() {
    let mut gallery = Gallery::in_memory().unwrap();
    let child = Consent { age: Age::UnderFourteen, ..consent() };
    assert!(matches!(gallery.enrol("m-1", &child, &person(1), 3), Err(GalleryError::NoConsent(_))));
    let agreed = Consent { guardian: Some("F-17".into()), ..child };
    gallery.enrol("m-1", &agreed, &person(1), 3).unwrap();
    assert!(gallery.database.execute("UPDATE face SET guardian = NULL", []).is_err());
}

#[test]
fn b04_a_withdrawn_member_is_in_no_file_and_the_receipt_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut gallery = gallery_of(&dir.path().join("gallery.db"), 8);
    gallery.backup(&dir.path().join("gallery.backup")).unwrap();
    let (key, sealed) = (wrapped(&gallery, "m-3"), stored(&gallery, "m-3"));
    assert!(holds(dir.path(), &key) && holds(dir.path(), &sealed));
    let receipt = withdraw(&mut gallery, "m-3").unwrap();
    for part in [&key[..30], &key[30..]] {
        assert!(!holds(dir.path(), part), "the key is still on disk");
    }
    std::fs::remove_file(dir.path().join("gallery.backup")).unwrap();
    for part in [&sealed[..32], &sealed[sealed.len() - 32..], b"m-3"] {
        assert!(!holds(dir.path(), part), "erased bytes are still on disk");
    }
    assert_eq!((receipt.member.0.as_str(), receipt.cause), ("m-3", ErasureCause::Withdrawn));
    assert!(receipt.scanned_bytes > 8_000, "{}", receipt.scanned_bytes);
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    let public = UnparsedPublicKey::new(&ED25519, bytes(&receipt.public_key));
    public.verify(receipt.signed_text().as_bytes(), &bytes(&receipt.signature)).unwrap();
    let other = ErasureReceipt { member: "m-4".into(), ..receipt.clone() };
    assert!(public.verify(other.signed_text().as_bytes(), &bytes(&receipt.signature)).is_err());

    assert_eq!(gallery.len(), 7);
    assert!(best(&gallery, &person(3)).1 < 0.99);
    assert_eq!(best(&gallery, &person(7)).0, "m-7", "the last template moved with its member");
    assert_eq!(withdraw(&mut gallery, "m-3"), None);
}

#[test]
fn b04_a_backup_opens_nobody_who_withdrew_even_with_the_stores_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gallery.db");
    let mut gallery = gallery_of(&path, 3);
    gallery.backup(&dir.path().join("copy")).unwrap();
    withdraw(&mut gallery, "m-1").unwrap();
    drop(gallery);
    std::fs::rename(dir.path().join("copy"), &path).unwrap();
    let restored = Gallery::open(&path, key(1)).unwrap();
    assert_eq!(restored.len(), 2);
    assert!(best(&restored, &person(1)).1 < 0.99 && best(&restored, &person(2)).1 > 0.99);
}

#[test]
fn b04_a_key_that_was_copied_is_found_and_no_receipt_given() {
    let dir = tempfile::tempdir().unwrap();
    let mut gallery = gallery_of(&dir.path().join("gallery.db"), 2);
    std::fs::copy(dir.path().join("gallery.keys"), dir.path().join("copy of keys")).unwrap();
    let refused = gallery.erase("m-0", None, ErasureCause::Withdrawn, NOW).unwrap_err();
    assert!(matches!(&refused, GalleryError::StillThere(file) if file.contains("copy of keys")), "{refused}");
    assert_eq!(gallery.len(), 1, "whatever the scan says, the member is not recognised any more");
}

#[test]
fn a_consent_given_after_the_withdrawal_stays() {
    let mut gallery = Gallery::in_memory().unwrap();
    gallery.enrol("m-1", &consent(), &person(1), 3).unwrap();
    assert_eq!(gallery.erase("m-1", Some(NOW), ErasureCause::Withdrawn, NOW).unwrap(), None);
    assert_eq!(gallery.len(), 1);
    assert!(gallery.erase("m-1", Some(NOW + 1), ErasureCause::Withdrawn, NOW).unwrap().is_some());
}

#[test]
fn b07_templates_end_with_their_consent_or_after_a_year_without_a_visit() {
    let mut gallery = Gallery::in_memory().unwrap();
    let until = Consent { until_utc_ms: Some(NOW + 10 * DAY_MS), ..consent() };
    gallery.enrol("bounded", &until, &person(1), 3).unwrap();
    gallery.enrol("idle", &consent(), &person(2), 3).unwrap();
    gallery.enrol("comes", &consent(), &person(3), 3).unwrap();
    let mut at = |day: i64| -> Vec<(String, ErasureCause)> {
        let gone = gallery.expire(NOW + day * DAY_MS, Retention::default()).unwrap();
        if day < 400 {
            gallery.seen("comes", NOW + day * DAY_MS).unwrap();
        }
        gone.into_iter().map(|receipt| (receipt.member.0, receipt.cause)).collect()
    };
    assert_eq!(at(9), []);
    assert_eq!(at(10), [("bounded".into(), ErasureCause::Expired)]);
    assert_eq!(at(364), []);
    assert_eq!(at(365), [("idle".into(), ErasureCause::Expired)]);
    assert_eq!(at(600), []);
    assert_eq!(at(365 + 365), [("comes".into(), ErasureCause::Expired)]);
    assert!(gallery.is_empty());
    assert_eq!((Retention::of(0), Retention::of(1096)), (None, None), "three years at most");
    assert!(Retention::of(1095).is_some());
}

#[test]
fn b10_a_copied_gallery_is_noise_without_the_credential() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gallery.db");
    let gallery = gallery_of(&path, 40);
    let plain: Vec<u8> = person(1).as_slice()[..4].iter().flat_map(|n| n.to_le_bytes()).collect();
    let turned: Vec<u8> = template(&gallery, "m-0")[..4].iter().flat_map(|n| n.to_le_bytes()).collect();
    let rest = |secret: &Key| holds(dir.path(), secret.as_slice());
    assert!(!holds(dir.path(), &plain) && !holds(dir.path(), &turned), "a template lies readable on disk");
    assert!(!rest(&gallery.keys.wrap) && !rest(&gallery.keys.rotation) && !rest(&key(1)), "a key lies beside it");
    let sealed: Vec<u8> = (0..40).flat_map(|member| stored(&gallery, &format!("m-{member}"))).collect();
    let mut counts = [0_f64; 256];
    sealed.iter().for_each(|byte| counts[usize::from(*byte)] += 1.0);
    let share = |count: &f64| count / sealed.len() as f64;
    let entropy: f64 = counts.iter().map(share).filter(|p| *p > 0.0).map(|p| -p * p.log2()).sum();
    assert!(entropy > 7.98, "{entropy} bits a byte");
    assert_ne!(wrapped(&gallery, "m-1"), wrapped(&gallery, "m-2"), "a key of each member's own");
    for stolen in 2..20 {
        assert!(matches!(Gallery::open(&path, key(stolen)), Err(GalleryError::WrongKey)));
    }
}

#[test]
fn b11_a_new_epoch_needs_nobody_and_makes_old_copies_useless() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gallery.db");
    let mut gallery = gallery_of(&path, 12);
    let before: Vec<_> = gallery.search(None).nearest(&person(5)).iter().map(|n| n.cosine).collect();
    let old = (template(&gallery, "m-5"), stored(&gallery, "m-5"), wrapped(&gallery, "m-5"));
    gallery.backup(&dir.path().join("copy")).unwrap();
    assert_eq!(gallery.rekey(None).unwrap(), 2);
    let after: Vec<_> = gallery.search(None).nearest(&person(5)).iter().map(|n| n.cosine).collect();
    assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() <= 1e-5), "{before:?} {after:?}");
    let across = crate::embed::dot(&old.0, &template(&gallery, "m-5"));
    assert!(across.abs() < 0.34, "one face in two epochs is as like as strangers: {across}");
    assert!(!holds(dir.path(), &old.2), "the old keys are gone");

    assert_eq!(gallery.rekey(Some(&key(9))).unwrap(), 3);
    drop(gallery);
    assert!(matches!(Gallery::open(&path, key(1)), Err(GalleryError::WrongKey)));
    assert_eq!(best(&Gallery::open(&path, key(9)).unwrap(), &person(5)).0, "m-5");
    std::fs::rename(dir.path().join("copy"), &path).unwrap();
    assert!(Gallery::open(&path, key(1)).unwrap().is_empty(), "a copy of an older epoch opens nobody");
}

#[test]
fn b11_a_power_cut_in_a_new_epoch_leaves_one_of_the_two() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gallery.db");
    let gallery = gallery_of(&path, 3);
    // The keys of the next epoch are there, and then the power fails.
    let stray = "INSERT INTO member_key SELECT member, epoch + 1, wrapped FROM member_key";
    gallery.member_keys.execute(stray, []).unwrap();
    drop(gallery);
    let again = Gallery::open(&path, key(1)).unwrap();
    let keys: i64 = again.member_keys.query_row("SELECT count(*) FROM member_key", [], |row| row.get(0)).unwrap();
    assert_eq!((again.len(), keys), (3, 3));
}

#[test]
fn b11_a_restored_copy_of_an_older_epoch_takes_no_key_of_the_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy, newer) = (dir.path().join("gallery.db"), dir.path().join("copy"), dir.path().join("newer"));
    let mut gallery = gallery_of(&path, 3);
    gallery.backup(&copy).unwrap();
    assert_eq!(gallery.rekey(None).unwrap(), 2);
    gallery.enrol("m-9", &consent(), &person(9), 3).unwrap();
    drop(gallery);
    std::fs::rename(&path, &newer).unwrap();
    std::fs::rename(&copy, &path).unwrap();
    let mut old = Gallery::open(&path, key(1)).unwrap();
    assert!(old.is_empty());
    assert!(matches!(old.enrol("m-8", &consent(), &person(8), 3), Err(GalleryError::OldCopy)), "it would be lost");
    drop(old);
    std::fs::rename(&newer, &path).unwrap();
    let again = Gallery::open(&path, key(1)).unwrap();
    assert_eq!((again.len(), best(&again, &person(9)).0), (4, "m-9".into()), "put back, it is whole");
}

#[test]
fn b13_twins_are_told_apart_by_a_margin_or_not_at_all() {
    let mut gallery = Gallery::in_memory().unwrap();
    let twin = |part: f32| {
        let mixed = person(1).as_slice().iter().zip(person(2).as_slice()).map(|(a, b)| a + part * b).collect();
        Embedding::normalised(mixed).unwrap()
    };
    gallery.enrol("one", &consent(), &twin(0.0), 3).unwrap();
    gallery.enrol("other", &consent(), &twin(0.05), 3).unwrap();
    let search = gallery.search(None);
    let threshold = search.threshold().unwrap();
    assert_eq!(judge(&search.nearest(&twin(0.02)), threshold), Outcome::Ambiguous);
    withdraw(&mut gallery, "other");
    let alone = judge(&gallery.search(None).nearest(&twin(0.02)), threshold);
    assert!(matches!(alone, Outcome::Match { member, .. } if member == "one"));
}

#[test]
fn b12_a_search_among_a_few_has_the_threshold_of_a_few() {
    let mut gallery = Gallery::in_memory().unwrap();
    // Names without a template, as many as the calibration cannot vouch for.
    for member in 0..1_200 {
        gallery.remember(&format!("m-{member}"), &person(member));
    }
    assert!(gallery.search(None).threshold().is_err(), "refused, not guessed");
    let among: Vec<String> = ["m-7", "m-8", "nobody"].map(String::from).into();
    let few = gallery.search(Some(&among));
    assert!(few.threshold().unwrap() < 0.40, "two of the three are enrolled");
    assert!(few.nearest(&person(9)).iter().all(|found| ["m-7", "m-8"].contains(&found.member)));
    assert_eq!(gallery.search(Some(&[])).nearest(&person(9)), []);
}

#[test]
fn a_row_moved_to_another_member_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gallery.db");
    let mut gallery = gallery_of(&path, 2);
    gallery.database.execute("DELETE FROM face WHERE member = 'm-1'", []).unwrap();
    gallery.database.execute("UPDATE face SET member = 'm-1' WHERE member = 'm-0'", []).unwrap();
    assert!(matches!(gallery.enrol("no spaces", &consent(), &person(1), 3), Err(GalleryError::BadMember)));
    drop(gallery);
    assert!(Gallery::open(&path, key(1)).unwrap().is_empty());
}

#[test]
fn a_template_of_another_recogniser_is_not_compared() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gallery.db");
    let gallery = gallery_of(&path, 2);
    gallery.database.execute("UPDATE face SET model = 'older' WHERE member = 'm-0'", []).unwrap();
    drop(gallery);
    let gallery = Gallery::open(&path, key(1)).unwrap();
    assert_eq!((gallery.len(), best(&gallery, &person(1)).0), (1, "m-1".into()));
}

#[test]
fn after_a_swap_of_the_recogniser_members_enrol_again_and_old_templates_go_by_policy() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gallery.db");
    drop(gallery_of(&path, 3));
    let mut other = crate::manifest::Manifest::built_in().recogniser;
    other.name = "another".into();
    let mut gallery = Gallery::open_for(&path, key(1), other).unwrap();
    assert_eq!((gallery.len(), gallery.stale()), (0, 3), "nobody is recognised by what another network made");
    assert!(gallery.search(None).nearest(&person(1)).is_empty());
    gallery.enrol("m-1", &consent(), &person(1), 3).unwrap();
    assert_eq!((gallery.len(), gallery.stale(), best(&gallery, &person(1)).0), (1, 2, "m-1".into()));

    let policy = Retention::of(365).unwrap().stale_after(30);
    assert!(gallery.expire(NOW + 29 * DAY_MS, policy).unwrap().is_empty());
    let gone: Vec<String> =
        gallery.expire(NOW + 31 * DAY_MS, policy).unwrap().into_iter().map(|receipt| receipt.member.0).collect();
    assert_eq!(gone, ["m-0", "m-2"], "and whoever enrolled again stays");
    drop(gallery);
    assert_eq!(Gallery::open(&path, key(1)).unwrap().stale(), 1, "a swap back asks again, too");
}

#[test]
fn the_two_nearest_are_exact() {
    let mut gallery = Gallery::in_memory().unwrap();
    for member in 0..50 {
        gallery.enrol(&format!("m-{member}"), &consent(), &person(member), 3).unwrap();
    }
    let probe = person(51);
    let mut all: Vec<f32> = (0..50).map(|member| person(member).cosine(&probe)).collect();
    all.sort_by(|a, b| b.total_cmp(a));
    let found = gallery.search(None).nearest(&probe);
    assert!((found[0].cosine - all[0]).abs() <= 1e-5 && (found[1].cosine - all[1]).abs() <= 1e-5);
}
