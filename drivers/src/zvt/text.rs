//! Text of terminals: code page 437 by the book, Latin-1 or UTF-8 in the field. Reading it never fails.

const UPPER_437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// Umlauts of Latin-1: in code page 437 these are rulers and Greek, which no terminal prints inside a word.
const LATIN: &[u8] = &[0xC4, 0xD6, 0xDC, 0xDF, 0xE4, 0xE9, 0xF6, 0xFC];

#[must_use]
pub(super) fn decode(bytes: &[u8]) -> String {
    if let Ok(text) = core::str::from_utf8(bytes) {
        return text.to_owned();
    }
    bytes.iter().map(|byte| character(*byte)).collect()
}

fn character(byte: u8) -> char {
    if byte < 0x80 || LATIN.contains(&byte) {
        return char::from(byte);
    }
    UPPER_437
        .chars()
        .nth(usize::from(byte - 0x80))
        .unwrap_or('?')
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
