//! What a terminal asks of the till besides the answer to a payment: to show a text, to print a slip, to put a question.
//!
//! Texts reach the lane, the shopper's slips the receipt. A question is refused in the specification's words, since no page of
//! a lane may stand in for a terminal's keys: one that is after a PIN, a password or a card's numbers is not even shown.

use super::message::{at, lines};
use crate::terminal::asks_for_secret;
use serde_json::{Value, json};

/// Of one request; a display has one or two lines of output.
const OUTPUTS_MAX: usize = 8;
const NOT_ALLOWED: &str = "NotAllowed";
const UNAVAILABLE: &str = "UnavailableDevice";

#[derive(Debug, Default)]
pub(super) struct Aside {
    pub(super) show: Option<String>,
    pub(super) print: Vec<String>,
    /// Category and body of what is answered, where an answer is wanted.
    pub(super) answer: Option<(&'static str, Value)>,
}

/// `room`: lines of paper that are left.
pub(super) fn read(inside: &Value, room: usize) -> Aside {
    match at(inside, "MessageHeader.MessageCategory").as_str() {
        Some("Display") => display(at(inside, "DisplayRequest")),
        Some("Print") => print(at(inside, "PrintRequest.PrintOutput"), room),
        Some("Input") => input(at(inside, "InputRequest")),
        Some(_) | None => Aside::default(),
    }
}

fn display(request: &Value) -> Aside {
    let outputs = at(request, "DisplayOutput").as_array().map_or(&[][..], Vec::as_slice);
    let outputs = outputs.get(..OUTPUTS_MAX).unwrap_or(outputs);
    let text = outputs.iter().flat_map(|output| lines(at(output, "OutputContent"))).collect::<Vec<_>>().join(" ");
    let refused = asks_for_secret(&text).then_some(NOT_ALLOWED);
    let results: Vec<Value> = outputs.iter().map(|output| result(output, refused)).collect();
    let wanted = outputs.iter().any(|output| at(output, "ResponseRequiredFlag") != false);
    Aside {
        show: (refused.is_none() && !text.is_empty()).then_some(text),
        answer: wanted.then(|| ("Display", json!({ "OutputResult": results }))),
        ..Aside::default()
    }
}

/// The merchant's copy stays with the terminal: the lane's printer prints what the shopper takes along.
fn print(output: &Value, room: usize) -> Aside {
    let qualifier = match at(output, "DocumentQualifier").as_str() {
        Some("CustomerReceipt") => "CustomerReceipt",
        Some("Voucher") => "Voucher",
        Some("Document") => "Document",
        Some("SaleReceipt") => "SaleReceipt",
        Some("Journal") => "Journal",
        Some(_) | None => "CashierReceipt",
    };
    let slip = lines(at(output, "OutputContent"));
    let ours = matches!(qualifier, "CustomerReceipt" | "Voucher" | "Document");
    let taken = ours && slip.len() <= room;
    let body = json!({
        "DocumentQualifier": qualifier,
        "Response": response((!taken).then_some(UNAVAILABLE)),
    });
    Aside {
        print: if taken { slip } else { Vec::new() },
        answer: (at(output, "ResponseMode") != "NotRequired").then_some(("Print", body)),
        ..Aside::default()
    }
}

fn input(request: &Value) -> Aside {
    let data = at(request, "InputData");
    let question = lines(at(request, "DisplayOutput.OutputContent")).join(" ");
    let secret = matches!(at(data, "InputCommand").as_str(), Some("Password" | "SiteManager"))
        || at(data, "MaskCharactersFlag") == true
        || asks_for_secret(&question);
    let mut body = json!({ "InputResult": result(data, Some(if secret { NOT_ALLOWED } else { UNAVAILABLE })) });
    let shown = at(request, "DisplayOutput");
    if let (false, Some(body)) = (shown.is_null(), body.as_object_mut()) {
        body.insert("OutputResult".into(), result(shown, secret.then_some(NOT_ALLOWED)));
    }
    Aside {
        show: (!secret && !question.is_empty()).then_some(question),
        answer: Some(("Input", body)),
        ..Aside::default()
    }
}

/// Which device it was and how it went.
fn result(asked: &Value, refused: Option<&str>) -> Value {
    let device = match at(asked, "Device").as_str() {
        Some("CashierDisplay") => "CashierDisplay",
        Some("CashierInput") => "CashierInput",
        Some("CustomerInput") => "CustomerInput",
        Some(_) | None => "CustomerDisplay",
    };
    let qualify = match at(asked, "InfoQualify").as_str() {
        Some("Input") => "Input",
        Some("Status") => "Status",
        Some("Error") => "Error",
        Some("CustomerAssistance") => "CustomerAssistance",
        Some(_) | None => "Display",
    };
    json!({"Device": device, "InfoQualify": qualify, "Response": response(refused)})
}

fn response(refused: Option<&str>) -> Value {
    match refused {
        Some(condition) => json!({"Result": "Failure", "ErrorCondition": condition}),
        None => json!({"Result": "Success"}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(category: &str, body: Value) -> Aside {
        let request = format!("{category}Request");
        read(&json!({"MessageHeader": {"MessageCategory": category}, request: body}), 3)
    }

    fn output(text: &str) -> Value {
        json!({"OutputFormat": "Text", "OutputText": [{"Text": text}]})
    }

    fn question(command: &str, text: &str) -> Aside {
        let shown = json!({"Device": "CustomerDisplay", "InfoQualify": "Display", "OutputContent": output(text)});
        let data = json!({"Device": "CustomerInput", "InfoQualify": "Input", "InputCommand": command});
        asked("Input", json!({"DisplayOutput": shown, "InputData": data}))
    }

    #[test]
    fn whoever_asks_for_a_secret_is_refused_and_not_shown() {
        for (command, text) in [
            ("Password", "Hello"),
            ("SiteManager", "Hello"),
            ("DigitString", "Please enter your PIN"),
            ("TextString", "P.I.N.?"),
            ("DigitString", "请输入密码"),
            ("DigitString", "ＰＩＮ码"),
            ("TextString", "Ihre Geheimzahl"),
            ("TextString", "Security code (CVC2)"),
        ] {
            let aside = question(command, text);
            assert_eq!(aside.show, None, "{text}");
            let (category, body) = aside.answer.expect("an answer");
            let result = at(&body, "InputResult.Response");
            assert_eq!((category, at(result, "ErrorCondition")), ("Input", &json!("NotAllowed")), "{text}");
        }
        let masked = json!({"InputCommand": "DigitString", "MaskCharactersFlag": true});
        let (_, body) = asked("Input", json!({"InputData": masked})).answer.expect("an answer");
        assert_eq!(at(&body, "InputResult.Response.ErrorCondition"), "NotAllowed");
    }

    #[test]
    fn a_question_nobody_can_answer_is_shown_and_refused() {
        let aside = question("GetConfirmation", "Signature in order?");
        assert_eq!(aside.show.as_deref(), Some("Signature in order?"));
        let (_, body) = aside.answer.expect("an answer");
        assert_eq!(at(&body, "InputResult.Device"), "CustomerInput");
        assert_eq!(at(&body, "InputResult.Response.ErrorCondition"), "UnavailableDevice");
        assert_eq!(at(&body, "OutputResult.Response.Result"), "Success");
    }

    #[test]
    fn texts_are_shown_and_answered_where_an_answer_is_wanted() {
        let display = |flag: bool, text: &str| {
            let output = json!({"Device": "CustomerDisplay", "InfoQualify": "Status", "OutputContent": output(text), "ResponseRequiredFlag": flag});
            asked("Display", json!({"DisplayOutput": [output]}))
        };
        let aside = display(true, "Tap your card");
        assert_eq!(aside.show.as_deref(), Some("Tap your card"));
        let (_, body) = aside.answer.expect("an answer");
        assert_eq!(body["OutputResult"][0]["InfoQualify"], "Status");
        assert_eq!(body["OutputResult"][0]["Response"]["Result"], "Success");
        assert!(display(false, "Tap your card").answer.is_none());
        let hidden = display(true, "Type your PIN here");
        assert_eq!(hidden.show, None);
        assert_eq!(hidden.answer.expect("an answer").1["OutputResult"][0]["Response"]["ErrorCondition"], "NotAllowed");
    }

    #[test]
    fn the_shoppers_slip_is_taken_while_there_is_paper_and_the_merchants_is_not() {
        let print = |qualifier: &str, count: usize| {
            let text: Vec<Value> = (0..count).map(|at| json!({"Text": format!("line {at}")})).collect();
            let content = json!({"OutputFormat": "Text", "OutputText": text});
            let output = json!({"DocumentQualifier": qualifier, "ResponseMode": "PrintEnd", "OutputContent": content});
            asked("Print", json!({"PrintOutput": output}))
        };
        for (qualifier, count, lines, result) in [
            ("CustomerReceipt", 2, 2, "Success"),
            ("CustomerReceipt", 4, 0, "Failure"),
            ("CashierReceipt", 2, 0, "Failure"),
        ] {
            let aside = print(qualifier, count);
            assert_eq!(aside.print.len(), lines, "{qualifier} {count}");
            let (_, body) = aside.answer.expect("an answer");
            assert_eq!((&body["DocumentQualifier"], &body["Response"]["Result"]), (&json!(qualifier), &json!(result)));
        }
        let content = output("x");
        let silent = json!({"DocumentQualifier": "Voucher", "ResponseMode": "NotRequired", "OutputContent": content});
        assert!(asked("Print", json!({"PrintOutput": silent})).answer.is_none());
    }
}
