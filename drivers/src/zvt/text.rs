//! Text of terminals: code page 437 by the book, Latin-1 or UTF-8 in the field. Reading it never fails.

const UPPER_437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// Umlauts of Latin-1: in code page 437 these are rulers and Greek, which no terminal prints inside a word.
const LATIN: &[u8] = &[0xC4, 0xD6, 0xDC, 0xDF, 0xE4, 0xE9, 0xF6, 0xFC];

#[must_use]
pub(super) fn decode(bytes: &[u8]) -> String {
    let text = match core::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| character(*byte)).collect(),
    };
    without_card_numbers(&text)
}

/// A terminal that prints a whole card number does not make us keep it: 13 to 19 digits, single spaces between them
/// or not, whose last one checks the others.
fn without_card_numbers(text: &str) -> String {
    let mut shown: Vec<char> = text.chars().collect();
    let mut run: Vec<usize> = Vec::new();
    let mut masked = Vec::new();
    for (at, character) in shown.iter().copied().chain(['\n']).enumerate() {
        let joins = character == ' ' && run.last().is_some_and(|last| last + 1 == at);
        if character.is_ascii_digit() {
            run.push(at);
        } else if !joins {
            let digits: Vec<u32> = run.iter().filter_map(|place| shown.get(*place)?.to_digit(10)).collect();
            if (13..=19).contains(&digits.len()) && luhn(&digits) {
                let middle = run.len().saturating_sub(10);
                masked.extend(run.iter().skip(6).take(middle).copied());
            }
            run.clear();
        }
    }
    for place in masked {
        if let Some(character) = shown.get_mut(place) {
            *character = '*';
        }
    }
    shown.into_iter().collect()
}

fn luhn(digits: &[u32]) -> bool {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 =
        digits.iter().rev().enumerate().map(|(at, digit)| if at % 2 == 1 { doubled(*digit) } else { *digit }).sum();
    sum.is_multiple_of(10)
}

fn character(byte: u8) -> char {
    if byte < 0x80 || LATIN.contains(&byte) {
        return char::from(byte);
    }
    UPPER_437.chars().nth(usize::from(byte - 0x80)).unwrap_or('?')
}

/// What to tell the shopper for an intermediate status (PA00P015 table 12), in Chinese and English.
#[must_use]
pub(super) const fn progress(status: u8) -> Option<(&'static str, &'static str)> {
    Some(match status {
        0x00 => ("请在终端上确认金额", "Please confirm the amount"),
        0x01 | 0x02 => ("请看密码键盘", "Please look at the PIN pad"),
        0x03 => ("未被接受", "Not accepted"),
        0x04 => ("等待银行应答", "Waiting for the bank"),
        0x05 | 0xC9 => ("正在冲正", "Reversing"),
        0x07 | 0x10 => ("不支持此卡", "Card not accepted"),
        0x08 => ("无法识别此卡", "Unknown card"),
        0x09 => ("卡已过期", "Card expired"),
        0x0A => ("请插卡或贴卡", "Insert or tap your card"),
        0x0B => ("请取回卡片", "Please remove your card"),
        0x0C => ("读卡失败", "Card not readable"),
        0x0D | 0x12 => ("处理出错", "Processing error"),
        0x0E | 0x17 => ("请稍候", "Please wait"),
        0x13 => ("无法支付", "Payment not possible"),
        0x14 | 0x16 => ("余额不足", "Not enough credit"),
        0x15 => ("密码错误", "Incorrect PIN"),
        0x18 => ("密码错误次数过多", "Too many wrong PINs"),
        0x1B | 0x1C => ("支付成功", "Approved"),
        0x1D => ("支付被拒绝", "Declined"),
        0xD2 => ("正在连接", "Connecting"),
        0xE0 => ("请选择应用", "Select the application"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_any_code_page_reads_and_hides_card_numbers() {
        assert_eq!(decode(b"H\x8eNDLER"), "HÄNDLER");
        assert_eq!(decode(b"H\xc4NDLER"), "HÄNDLER");
        assert_eq!(decode("支付".as_bytes()), "支付");
        assert_eq!(decode(b"Nr: 4111 1111 1111 1111"), "Nr: 4111 11** **** 1111");
        assert_eq!(decode(b"4111111111111112"), "4111111111111112");
        assert_eq!(decode(b"19.10.2021 13:30"), "19.10.2021 13:30");
    }
}
