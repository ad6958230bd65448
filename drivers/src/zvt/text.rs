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
    crate::digits::hide(&text)
}

fn character(byte: u8) -> char {
    if byte < 0x80 || LATIN.contains(&byte) {
        return char::from(byte);
    }
    UPPER_437.chars().nth(usize::from(byte - 0x80)).unwrap_or('?')
}

/// What to tell the shopper for an intermediate status (PA00P015 table 12), in Chinese and English. 40 to 67 are 00 to 27 with
/// a card to be taken out, which is the more useful thing to say.
#[must_use]
pub(super) const fn progress(status: u8) -> Option<(&'static str, &'static str)> {
    Some(match status {
        0x00 => ("请在终端上确认金额", "Please confirm the amount"),
        0x01 | 0x02 => ("请看密码键盘", "Please look at the PIN pad"),
        0x03 => ("未被接受", "Not accepted"),
        0x04 => ("等待银行应答", "Waiting for the bank"),
        0x05 => ("正在冲正", "Reversing"),
        0x06 => ("正在补记账", "Sending post-bookings"),
        0x07 | 0x10 => ("不支持此卡", "Card not accepted"),
        0x08 => ("无法识别此卡", "Unknown card"),
        0x09 => ("卡已过期", "Card expired"),
        0x0A => ("请插卡或贴卡", "Insert or tap your card"),
        0x0B => ("请取回卡片", "Please remove your card"),
        0x0C => ("读卡失败", "Card not readable"),
        0x0D => ("处理出错", "Processing error"),
        0x0E | 0x17 => ("请稍候", "Please wait"),
        0x0F => ("正在自动结算", "Automatic end-of-day"),
        0x11 => ("显示余额", "Balance"),
        0x12 => ("系统故障", "System malfunction"),
        0x13 => ("无法支付", "Payment not possible"),
        0x14 => ("余额不足", "Not enough credit"),
        0x15 => ("密码错误", "Incorrect PIN"),
        0x16 => ("超过限额", "Limit exceeded"),
        0x18 => ("密码错误次数过多", "Too many wrong PINs"),
        0x19 => ("卡片数据不正确", "Card data incorrect"),
        0x1A => ("维护模式", "Service mode"),
        0x1B | 0x1C => ("支付成功", "Approved"),
        0x1D => ("支付被拒绝", "Declined"),
        0x26 => ("请输入手机号", "Enter your mobile number"),
        0x27 => ("请再次输入手机号", "Repeat your mobile number"),
        0x28 => ("请选择币种", "Select the currency"),
        0x29 => ("请选择语言", "Select the language"),
        0x2A => ("充值请插卡", "Insert your card for loading"),
        0x2B => ("应急交易，请稍候", "Emergency transaction, please wait"),
        0x2C => ("请选择应用", "Select the application"),
        0x41..=0x67 => ("请取回卡片", "Please remove your card"),
        0x68 => ("已检测到卡片", "Card detected"),
        0x69 => ("请选择结算币种", "Select the currency of the payment"),
        0xC7 => ("请输入里程", "Enter the mileage"),
        0xC8 => ("等待收银员", "Waiting for the cashier"),
        0xC9 => ("正在自动诊断", "Automatic diagnosis"),
        0xCA => ("正在初始化", "Automatic initialisation"),
        0xCB => ("商户流水已满", "Merchant journal full"),
        0xCC => ("请在终端上输入密码", "Please enter your PIN on the terminal"),
        0xD2 => ("正在连接", "Connecting"),
        0xD3 => ("已连接", "Connected"),
        0xE0 => ("请选择应用", "Select the application"),
        0xE1 => ("请选择语言", "Select the language"),
        0xE2 => ("请用清洁卡", "Use the cleaning card"),
        0xF1 => ("离线", "Offline"),
        0xF2 => ("在线", "Online"),
        0xF3 => ("离线交易", "Offline transaction"),
        _ => return None,
    })
}

/// What a result code means (PA00P015 chapter 10), in Chinese and English.
#[must_use]
pub(super) const fn result(code: u8) -> Option<(&'static str, &'static str)> {
    Some(match code {
        0x64 => ("无法读卡", "Card not readable"),
        0x65 => ("卡上没有数据", "No data on the card"),
        0x66 => ("处理出错", "Processing error"),
        0x67 | 0x68 => ("此卡不支持此功能", "Function not permitted for this card"),
        0x6A => ("流水已满", "Turnover file full"),
        0x6B => ("终端未登记", "Function deactivated"),
        0x6C => ("已取消", "Aborted by time-out or key"),
        0x6E => ("卡已列入黑名单", "Card in the blocked list"),
        0x6F => ("币种错误", "Wrong currency"),
        0x71 => ("余额不足", "Credit not sufficient"),
        0x72 => ("芯片出错", "Chip error"),
        0x73 => ("卡片数据不正确", "Card data incorrect"),
        0x77 => ("无法结算", "End-of-day batch not possible"),
        0x78 => ("卡已过期", "Card expired"),
        0x79 => ("卡尚未生效", "Card not yet valid"),
        0x7A => ("未知卡", "Card unknown"),
        0x7B | 0x7C | 0x7E => ("不能改刷磁条", "Fallback to magnetic stripe not possible"),
        0x7D => ("通信故障", "Communication error"),
        0x83 => ("不支持此功能", "Function not possible"),
        0x85 => ("缺少密钥", "Key missing"),
        0x89 | 0xED => ("密码键盘故障", "PIN pad defective"),
        0x9A => ("协议错误", "Protocol error"),
        0x9B => ("通信故障", "Error from dial-up"),
        0x9C => ("请稍候", "Please wait"),
        0xA0 => ("接收方未就绪", "Receiver not ready"),
        0xA1 => ("远端不应答", "Remote station does not respond"),
        0xA3 => ("没有连接", "No connection"),
        0xB1 | 0xB2 => ("内存已满", "Memory full"),
        0xB4 => ("已经冲正", "Already reversed"),
        0xB5 => ("无法冲正", "Reversal not possible"),
        0xB7 => ("预授权金额不正确", "Pre-authorisation incorrect"),
        0xB8 => ("预授权出错", "Error in pre-authorisation"),
        0xBF => ("电压过低", "Supply voltage too low"),
        0xC0 => ("卡锁故障", "Card lock defective"),
        0xC1 => ("商户卡已锁", "Merchant card locked"),
        0xC2 => ("需要诊断", "Diagnosis required"),
        0xC3 => ("超过最大金额", "Maximum amount exceeded"),
        0xC4 => ("卡配置无效", "Card profile invalid"),
        0xC5 => ("不支持此支付方式", "Payment method not supported"),
        0xC6 => ("币种不适用", "Currency not applicable"),
        0xC8 => ("金额过小", "Amount too small"),
        0xC9 => ("最大金额过小", "Maximum amount too small"),
        0xCC => ("打印机未就绪", "Printer not ready"),
        0xD2 => ("此类卡不支持", "Function not permitted for bank customer cards"),
        0xDC => ("已插卡", "Card inserted"),
        0xDD | 0xDE => ("进退卡出错", "Card could not be moved"),
        0xE0 => ("远程维护中", "Remote maintenance activated"),
        0xE2 => ("读卡器不应答", "Card reader does not answer"),
        0xE3 => ("读卡口已关闭", "Shutter closed"),
        0xE4 => ("终端需激活", "Terminal activation required"),
        0xF0 => ("有未结批次", "Open end-of-day batch present"),
        0xF1 => ("离线出错", "Offline error"),
        0xFA => ("离线交易传输出错", "Error transmitting offline transactions"),
        0xFB => ("流水损坏", "Turnover data defective"),
        0xFC => ("缺少必要设备", "Necessary device not present"),
        0xFF => ("系统故障", "System error"),
        _ => return None,
    })
}

/// 84 xx of either side: what was refused, or how it is to go on (PA00P015 2.2 and 3.4).
pub(super) fn refusal(code: u8) -> Option<(&'static str, &'static str)> {
    Some(match code {
        0x66 => ("未出货，请退款", "goods not issued"),
        0x83 => ("不支持此命令", "command not supported"),
        0x9C => ("请稍候再问", "please wait and ask again"),
        0x9D => ("部分出货", "part of the goods issued"),
        0xCC => ("打印机未就绪", "printer not ready"),
        _ => return result(code),
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
