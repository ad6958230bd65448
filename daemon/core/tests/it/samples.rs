//! The journal's format is read for ever: each variant has a sample here that today's code must still read, and only additions are allowed.

use checkout::event::Record;
use checkout::sale::SaleLine;

const SAMPLES: &str = include_str!("samples.ndjson");

#[test]
fn every_stored_sample_is_read_and_written_back_as_it_was() {
    for (number, line) in SAMPLES.lines().enumerate() {
        let record: Record =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("sample {}: {error}", number + 1));
        assert_eq!(serde_json::to_string(&record).unwrap(), line, "sample {}", number + 1);
    }
}

const VARIANTS: &[&str] = &[
    "booted",
    "device_up",
    "device_down",
    "dataset_activated",
    "price_rules_set",
    "point_rules_set",
    "epoch_opened",
    "day_closed",
    "intervention_raised",
    "intervention_answered",
    "intervention_withdrawn",
    "attendant_came",
    "rescan\":{\"decided",
    "rescan\":{\"looked",
    "rescan\":{\"ended",
    "bag\":{\"filled",
    "bag\":{\"skipped",
    "bag\":{\"base",
    "bag\":{\"muted",
    "kind\":{\"pieces",
    "kind\":{\"amount",
    "kind\":{\"hours",
    "kind\":{\"blocked",
    "kind\":{\"weight",
    "kind\":{\"rescan",
    "help_called",
    "camera_opened",
    "help_ended",
    "receipt_sent",
    "receipt_printed",
    "basket\":{\"started",
    "line_added",
    "line_refused",
    "unknown_item",
    "code\":\"check_digit",
    "code\":\"not_goods",
    "reason\":\"expired",
    "past_sell_by",
    "past_best_before",
    "recalled",
    "not_taken",
    "quantity_changed",
    "line_voided",
    "price_overridden",
    "noted",
    "coupon\":{\"shown",
    "shown_at",
    "redeems",
    "coupon_conflict",
    "issued\":[",
    "coupon\":{\"removed",
    "voided\":{\"transaction\":\"t-1\",\"by",
    "savings_set",
    "voided",
    "completed",
    "face_consented",
    "face_ended",
    "claimed",
    "face_enrol_consented",
    "face_enrolled",
    "face_enrol_refused",
    "face_withdrawn",
    "data_shown",
    "face_reopened",
    "face_pay_asked",
    "face_pay_confirmed",
    "face_pay_disputed",
    "store\":{\"face_erased",
    "kind\":\"member_wallet",
    "identified",
    "by\":\"phone",
    "burnt\":20,\"on",
    "switched",
    "points_back",
    "kind\":\"points\"",
    "removed",
    "tender\":{\"started",
    "card_answered",
    "approved\":{\"tender",
    "declined",
    "in_doubt",
    "handed_to_staff",
    "slip_printed",
    "resolved",
    "terminal_seen",
    "terminal_used",
    "giving_up",
    "late_approved",
    "terminal_online",
    "terminal_changed",
    "terminal_accepted",
    "terminal_closed",
    "offline\":true",
    "late_refunded",
    "late_to_staff",
    "late_settled",
    "kind\":\"gift\"",
    "void_begun",
    "suspended",
    "resumed",
    "rounded",
    "shift\":{\"opened",
    "paid_in",
    "paid_out",
    "dropped",
    "no_sale",
    "counted",
    "shift\":{\"closed",
    "clock_doubted",
    "clock_trusted",
    "disk_full",
    "disk_low",
    "disk_room",
    "wal_held",
    "wal_free",
    "backed_up",
    "backup_failed",
    "restored\":{\"from\":\"salvage",
    "restored\":{\"from\":\"disk",
    "refilled",
    "settled",
    "command_received",
    "restart_device",
    "command_refused",
    "command_started",
    "command_done",
    "command_failed",
    "command_expired",
    "forged",
    "state\":\"applied",
    "state\":\"dropped",
    "dataset_refused",
];

#[test]
fn every_variant_has_a_sample() {
    for variant in VARIANTS {
        assert!(SAMPLES.contains(variant), "{variant} has no sample");
    }
}

/// Before a line could have several savings it had one, under another name.
#[test]
fn a_sale_of_an_older_journal_keeps_its_saving() {
    let one = r#"{"line":1,"offer":"member","name":{"zh":"会员价","en":"Member price"},"amount":20}"#;
    let old = format!(
        r#"{{"no":1,"key":"1","name":{{"zh":"梨","en":"Pears"}},"quantity":1,"weight_g":null,"unit_price":100,"discount":20,"offer":{one},"total":80,"price_book":"pb-1"}}"#
    );
    let line: SaleLine = serde_json::from_str(&old).unwrap();
    assert_eq!(line.savings, [serde_json::from_str(one).unwrap()]);
    let again: SaleLine = serde_json::from_str(&serde_json::to_string(&line).unwrap()).unwrap();
    assert_eq!(again, line);
}
