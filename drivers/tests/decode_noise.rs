//! Decoders meet what support staff paste: anything.

use drivers::decode::DECODERS;

const WALLET: &str = "134912341234567890";

#[test]
fn any_bytes_are_answered_and_no_wallet_code_is_told() {
    let mut dice = 0x9E37_79B9_7F4A_7C15_u64;
    let mut throw = || {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice.to_le_bytes()
    };
    for (name, decode) in DECODERS {
        for _ in 0..300 {
            let [length, rest @ ..] = throw();
            let mut noise: Vec<u8> = (0..usize::from(length) / 8).flat_map(|_| throw()).collect();
            noise.extend(rest);
            assert!(decode(&noise, None)["ok"].is_boolean(), "{name}");
        }
        // What stands on paper is no secret any more.
        let framed = [format!("{WALLET}\r\n").into_bytes(), [b"\x18\xf3\0\0\x1c", WALLET.as_bytes()].concat()];
        for bytes in framed.iter().filter(|_| *name != "escpos") {
            let told = decode(bytes, None);
            assert!(!told.to_string().contains(WALLET), "{name}: {told}");
        }
    }
}
