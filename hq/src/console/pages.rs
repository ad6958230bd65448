//! Pages as text. Every value that comes from a box passes through `escape`.

use super::chart;
use super::read::{AlarmRow, BoxRow, DataRow, DeadLetterRow, EventRow, OneBox, Overview, SaleRow, Today, Trouble};
use super::words::{Language, ago, alarm_name, escape, money, tender, thousands};
use std::fmt::Write as _;

pub(super) fn overview(seen: &Overview, up: bool, language: Language) -> String {
    let mut main = String::new();
    main.push_str(&tiles(seen, language));
    main.push_str(&boxes(seen, language));
    main.push_str(r#"<div class="columns"><div class="wide">"#);
    for today in &seen.today {
        let title = language.pick("今日每小时销售额", "Sales per hour today");
        let drawing = chart::by_hour(&today.by_hour, &escape(&today.currency), language);
        main.push_str(&panel(title, &escape(&today.currency), &drawing));
    }
    main.push_str(&days(seen, language));
    main.push_str(&panel(language.pick("最近销售", "Latest sales"), "", &sales(&seen.sales, language)));
    main.push_str(r#"</div><div class="narrow">"#);
    let day = language.pick("最近 24 小时", "last 24 hours");
    main.push_str(&panel(language.pick("告警", "Alarms"), day, &troubles(&seen.troubles, seen.now, language)));
    main.push_str(&panel(
        language.pick("无法读取的事件", "Dead letters"),
        "",
        &dead_letters(&seen.dead_letters, seen.now, language),
    ));
    main.push_str("</div></div>");
    shell(language.pick("总览", "Overview"), "/", &main, up, language)
}

pub(super) fn one_box(seen: &OneBox, up: bool, language: Language) -> String {
    let row = &seen.row;
    let mut main = String::new();
    let _ = write!(
        main,
        r#"<p class="back"><a href="/fleet">← {}</a></p><h1>{} <small>{}</small> {}</h1>"#,
        language.pick("门店盒", "Fleet"),
        escape(&row.id),
        escape(&row.store),
        state_badge(row, language)
    );
    main.push_str(&facts(row, seen.now, language));
    main.push_str(r#"<div class="columns"><div class="wide">"#);
    main.push_str(&panel(language.pick("日志末尾", "Journal tail"), "", &journal(&seen.events, language)));
    main.push_str(&panel(language.pick("最近销售", "Latest sales"), "", &sales(&seen.sales, language)));
    main.push_str(r#"</div><div class="narrow">"#);
    main.push_str(&panel(language.pick("设备", "Devices"), "", &device_list(row, language)));
    main.push_str(&panel(language.pick("数据", "Data"), "", &data(&seen.data, seen.now, language)));
    main.push_str(&panel(language.pick("告警", "Alarms"), "", &alarms(&seen.alarms, seen.now, language)));
    main.push_str(&panel(
        language.pick("无法读取的事件", "Dead letters"),
        "",
        &dead_letters(&seen.dead_letters, seen.now, language),
    ));
    main.push_str("</div></div>");
    let path = format!("/box/{}", escape(&row.id));
    shell(&escape(&row.id), &path, &main, up, language)
}

pub(super) fn shell(title: &str, path: &str, main: &str, up: bool, language: Language) -> String {
    let here = |tag: Language| {
        if tag == language { r#" aria-current="true""# } else { "" }
    };
    let link = if up {
        format!(r#"<span class="badge good">{}</span>"#, language.pick("消息通道正常", "Broker connected"))
    } else {
        format!(r#"<span class="badge bad">{}</span>"#, language.pick("消息通道中断", "Broker not connected"))
    };
    format!(
        r#"<!doctype html>
<html lang="{tag}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Aisle</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css">
<script src="/app.js" defer></script></head>
<body><header><a class="brand" href="/">Aisle <span>{hq}</span></a><nav class="pages">{pages}</nav><span class="spring"></span>
<span id="live" class="live">{live}</span><nav><a href="{path}?lang=zh"{zh}>中文</a><a href="{path}?lang=en"{en}>English</a></nav></header>
<main><div class="link">{link}</div>{main}</main></body></html>"#,
        tag = language.tag(),
        hq = language.pick("总部", "Headquarters"),
        pages = pages(path, language),
        live = language.pick("实时", "Live"),
        zh = here(Language::Zh),
        en = here(Language::En),
    )
}

fn pages(here: &str, language: Language) -> String {
    let all = [
        ("/", "总览", "Overview"),
        ("/fleet", "门店盒", "Fleet"),
        ("/payments", "收款", "Payments"),
        ("/parity", "核价", "Prices"),
        ("/coupons", "优惠券", "Coupons"),
        ("/faces", "人脸同意", "Consents"),
    ];
    let links = all.map(|(path, zh, en)| {
        let current = if path == here { r#" aria-current="page""# } else { "" };
        format!(r#"<a href="{path}"{current}>{}</a>"#, language.pick(zh, en))
    });
    links.concat()
}

pub(super) fn panel(title: &str, note: &str, body: &str) -> String {
    format!(r#"<section class="panel"><h2>{title}<small>{note}</small></h2>{body}</section>"#)
}

fn tiles(seen: &Overview, language: Language) -> String {
    let counts = &seen.counts;
    let link = |state: &str, value: String| format!(r#"<a href="/fleet?state={state}">{value}</a>"#);
    let number = |number: i64| thousands(number.unsigned_abs());
    let sales: i64 = seen.today.iter().map(|today| today.sales).sum();
    let totals = seen.today.iter().map(|today| money(today.total, &escape(&today.currency)));
    let total = totals.collect::<Vec<_>>().join(" + ");
    let tone = |bad: bool| if bad { "warn" } else { "" };
    let of_today = language.pick("占今日销售笔数", "of today’s sales");
    let waiting = language.pick("条事件待确认", "events to come");
    let tiles = [
        (
            language.pick("今日销售额", "Sales today"),
            if total.is_empty() { "–".into() } else { total },
            receipts(sales, language),
            "lead",
        ),
        (language.pick("会员识别率", "With member"), share(&seen.today), of_today.into(), ""),
        (
            language.pick("在线门店盒", "Boxes online"),
            link("offline", format!("{} / {}", number(counts.online), number(counts.boxes))),
            String::new(),
            tone(counts.online < counts.boxes),
        ),
        (
            language.pick("积压", "Backlog"),
            link("behind", number(counts.backlog)),
            waiting.into(),
            tone(counts.behind > 0),
        ),
        (
            language.pick("有设备故障的盒子", "Boxes with a device down"),
            link("down", number(counts.down)),
            String::new(),
            tone(counts.down > 0),
        ),
        (
            language.pick("核价差异", "Price differences"),
            format!(r#"<a href="/parity">{}</a>"#, seen.parity.differences.len()),
            priced_again(seen.parity.checked, language),
            if seen.parity.differences.is_empty() { "" } else { "bad" },
        ),
        (
            language.pick("重复核销的券", "Coupons used twice"),
            format!(r#"<a href="/coupons">{}</a>"#, seen.coupon_conflicts),
            String::new(),
            if seen.coupon_conflicts == 0 { "" } else { "bad" },
        ),
        (
            language.pick("告警", "Alarms"),
            link("alarms", number(counts.alarms)),
            language.pick("台盒子，最近 24 小时", "boxes, last 24 hours").into(),
            if counts.alarms == 0 { "" } else { "bad" },
        ),
    ];
    let mut out = String::from(r#"<div class="tiles">"#);
    for (label, value, note, tone) in tiles {
        let _ = write!(
            out,
            r#"<div class="tile {tone}"><span class="label">{label}</span><strong>{value}</strong><span class="note">{note}</span></div>"#
        );
    }
    out.push_str("</div>");
    out
}

fn priced_again(checked: i64, language: Language) -> String {
    let checked = thousands(checked.unsigned_abs());
    match language {
        Language::Zh => format!("已核 {checked} 笔"),
        Language::En => format!("of {checked} priced again"),
    }
}

fn receipts(sales: i64, language: Language) -> String {
    let word = language.pick("笔", if sales == 1 { "receipt" } else { "receipts" });
    format!("{} {word}", thousands(sales.unsigned_abs()))
}

fn share(today: &[Today]) -> String {
    let sales: i64 = today.iter().map(|today| today.sales).sum();
    let with: i64 = today.iter().map(|today| today.with_member).sum();
    if sales == 0 { "–".into() } else { format!("{} %", with * 100 / sales) }
}

fn boxes(seen: &Overview, language: Language) -> String {
    if seen.counts.boxes == 0 {
        let text = language.pick(
            "还没有门店盒报到。盒子连上消息通道后会出现在这里。",
            "No box has said hello yet. Boxes appear here when they reach the broker.",
        );
        return panel(language.pick("门店盒", "Boxes"), "", &format!(r#"<p class="empty">{text}</p>"#));
    }
    let all = usize::try_from(seen.counts.boxes).is_ok_and(|boxes| boxes == seen.boxes.len());
    let title = if all {
        language.pick("门店盒", "Boxes")
    } else {
        language.pick("需要关注的门店盒", "Boxes to look at")
    };
    let note = format!(r#"<a href="/fleet">{}</a>"#, language.pick("全部", "All boxes"));
    if seen.boxes.is_empty() {
        return panel(title, &note, &nothing(language));
    }
    panel(title, &note, &box_table(&seen.boxes, seen.now, seen.newest_price_book.as_deref(), None, language))
}

/// `sort`: the link that sorts by that word, where the list can be sorted.
pub(super) fn box_table(
    boxes: &[BoxRow],
    now: i64,
    newest: Option<&str>,
    sort: Option<&dyn Fn(&str) -> String>,
    language: Language,
) -> String {
    let sorted = |by: &str, text: &str| match sort {
        Some(link) => format!(r#"<a href="{}">{text}</a>"#, link(by)),
        None => text.to_owned(),
    };
    let headers = [
        (sorted("id", language.pick("门店盒", "Box")), ""),
        (sorted("state", language.pick("状态", "State")), ""),
        (sorted("seen", language.pick("最近联系", "Last seen")), ""),
        (language.pick("今日笔数", "Sales").to_owned(), "num"),
        (language.pick("今日金额", "Total today").to_owned(), "num"),
        (sorted("backlog", language.pick("积压", "Backlog")), "num"),
        (language.pick("已确认 / 最新", "Acked / head").to_owned(), "num"),
        (language.pick("价格本", "Price book").to_owned(), ""),
        (language.pick("设备", "Devices").to_owned(), ""),
        (sorted("version", language.pick("版本", "Version")), ""),
    ];
    let headers = headers.each_ref().map(|(text, class)| (text.as_str(), *class));
    table(&headers, boxes.iter().map(|row| box_line(row, now, newest, language)).collect())
}

fn box_line(row: &BoxRow, now: i64, newest: Option<&str>, language: Language) -> Vec<String> {
    let stale = newest.is_some_and(|newest| newest != row.price_book);
    let book = escape(&row.price_book);
    vec![
        format!(
            r#"<a class="id" href="/box/{id}">{id}</a><small>{}</small>"#,
            escape(&row.store),
            id = escape(&row.id)
        ),
        state_badge(row, language),
        ago(now - row.last_seen, language),
        thousands(row.sales_today.unsigned_abs()),
        if row.currency.is_empty() { "–".into() } else { money(row.total_today, &escape(&row.currency)) },
        if row.backlog > 0 {
            format!(r#"<b class="warn">{}</b>"#, thousands(row.backlog.unsigned_abs()))
        } else {
            "0".into()
        },
        format!("{} / {}", thousands(row.acked.unsigned_abs()), thousands(row.head.unsigned_abs())),
        match (stale, language) {
            (false, _) => book,
            (true, Language::Zh) => format!(r#"{book} <b class="warn">旧版</b>"#),
            (true, Language::En) => format!(r#"{book} <b class="warn">old</b>"#),
        },
        devices(row),
        escape(&row.version),
    ]
}

/// Two weeks: sales as bars, and below them what headquarters works out otherwise, where there is any.
fn days(seen: &Overview, language: Language) -> String {
    let Some(last) = seen.by_day.last() else { return String::new() };
    let currency = escape(&last.currency);
    let label = |day: &str, value: String| format!("{day}  {value}");
    let sold: Vec<_> = seen
        .by_day
        .iter()
        .map(|day| (day.day.as_str(), day.total, label(&day.day, money(day.total, &currency))))
        .collect();
    let title = language.pick("两周销售额", "Sales of two weeks");
    let mut out = panel(title, &currency, &chart::by_day(&sold, "bar", title));
    if seen.by_day.iter().any(|day| day.differences > 0) {
        let found = seen.by_day.iter().map(|day| {
            let count = thousands(day.differences.unsigned_abs());
            (day.day.as_str(), day.differences, label(&day.day, count))
        });
        let found = found.collect::<Vec<_>>();
        let title = language.pick("两周核价差异", "Price differences of two weeks");
        let note = format!(r#"<a href="/parity">{}</a>"#, language.pick("明细", "Details"));
        out.push_str(&panel(title, &note, &chart::by_day(&found, "bar wrong", title)));
    }
    out
}

/// One line for a kind of trouble, however many boxes have it.
fn troubles(rows: &[Trouble], now: i64, language: Language) -> String {
    if rows.is_empty() {
        return nothing(language);
    }
    let mut out = String::from(r#"<ul class="alarms">"#);
    for trouble in rows {
        let name = alarm_name(&trouble.kind, language);
        let (who, link) = if trouble.boxes == 1 {
            let id = escape(&trouble.box_id);
            (id.clone(), format!("/box/{id}"))
        } else {
            let word = language.pick("台盒子", "boxes");
            let kind = in_address(&trouble.kind);
            (format!("{} {word}", thousands(trouble.boxes.unsigned_abs())), format!("/fleet?alarm={kind}"))
        };
        let last = ago(now - trouble.last_at, language);
        let _ = write!(out, r#"<li><b>{name}</b> <a href="{link}">{who}</a> <small>{last}</small></li>"#);
    }
    out.push_str("</ul>");
    out
}

/// Which version of each dataset is in force, since when, and whether there is a newer one.
fn data(rows: &[DataRow], now: i64, language: Language) -> String {
    if rows.is_empty() {
        return nothing(language);
    }
    let mut out = String::from(r#"<ul class="devices">"#);
    for row in rows {
        let age = ago(now - row.since, language);
        let newer = row.newest.as_ref().filter(|(version, ..)| *version > row.version);
        let state = match newer {
            None => format!(r#"<span class="badge good">{age}</span>"#),
            Some((_, name, at)) => {
                let waits = ago(now - at, language);
                format!(
                    r#"<span class="badge bad">{} {} · {waits}</span>"#,
                    language.pick("新版", "newer:"),
                    escape(name)
                )
            }
        };
        let _ = write!(out, "<li>{} · {} {state}</li>", escape(&row.dataset), escape(&row.name));
    }
    out.push_str("</ul>");
    out
}

/// As it stands in the query of an address.
pub(super) fn in_address(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

fn state_badge(row: &BoxRow, language: Language) -> String {
    if row.online {
        format!(r#"<span class="badge good">{}</span>"#, language.pick("在线", "online"))
    } else {
        format!(r#"<span class="badge off">{}</span>"#, language.pick("离线", "offline"))
    }
}

fn devices(row: &BoxRow) -> String {
    let up = row.devices.values().filter(|up| **up).count();
    let down: Vec<String> = row.devices.iter().filter(|(_, up)| !**up).map(|(name, _)| escape(name)).collect();
    if down.is_empty() {
        return format!("{up}/{}", row.devices.len());
    }
    format!(r#"{up}/{} <b class="bad">{}</b>"#, row.devices.len(), down.join(", "))
}

fn device_list(row: &BoxRow, language: Language) -> String {
    if row.devices.is_empty() {
        return nothing(language);
    }
    let mut out = String::from(r#"<ul class="devices">"#);
    for (name, up) in &row.devices {
        let (tone, word) =
            if *up { ("good", language.pick("正常", "up")) } else { ("bad", language.pick("故障", "down")) };
        let _ = write!(out, r#"<li>{}<span class="badge {tone}">{word}</span></li>"#, escape(name));
    }
    out.push_str("</ul>");
    out
}

fn facts(row: &BoxRow, now: i64, language: Language) -> String {
    let mut out = String::from(r#"<dl class="facts">"#);
    for (label, value) in [
        (language.pick("最近联系", "Last seen"), ago(now - row.last_seen, language)),
        (
            language.pick("已确认 / 最新", "Acked / head"),
            format!("{} / {}", thousands(row.acked.unsigned_abs()), thousands(row.head.unsigned_abs())),
        ),
        (language.pick("积压", "Backlog"), thousands(row.backlog.unsigned_abs())),
        (language.pick("纪元", "Epoch"), row.epoch.to_string()),
        (language.pick("启动次数", "Boots"), row.boot.to_string()),
        (language.pick("价格本", "Price book"), escape(&row.price_book)),
        (language.pick("未联网授权", "Cards without the bank"), money(row.exposure, &escape(&row.currency))),
        (language.pick("版本", "Version"), escape(&row.version)),
        (language.pick("日志编号", "Journal id"), escape(&row.journal)),
    ] {
        let _ = write!(out, "<div><dt>{label}</dt><dd>{value}</dd></div>");
    }
    out.push_str("</dl>");
    out
}

fn sales(rows: &[SaleRow], language: Language) -> String {
    if rows.is_empty() {
        return nothing(language);
    }
    let headers = [
        (language.pick("时间", "Time"), ""),
        (language.pick("门店盒", "Box"), ""),
        (language.pick("通道", "Lane"), "num"),
        (language.pick("小票", "Receipt"), "num"),
        (language.pick("金额", "Total"), "num"),
        (language.pick("支付", "Tenders"), ""),
        (language.pick("会员", "Member"), ""),
    ];
    let rows = rows.iter().map(|sale| {
        let paid: Vec<String> = sale.tenders.iter().map(|paid| escape(tender(&paid.kind, language))).collect();
        vec![
            sale.clock.clone(),
            format!(r#"<a href="/box/{id}">{id}</a>"#, id = escape(&sale.box_id)),
            sale.lane.map_or_else(|| "–".into(), |lane| lane.to_string()),
            sale.receipt.to_string(),
            money(sale.total, &escape(&sale.currency)),
            paid.join(" + "),
            if sale.member { language.pick("是", "yes").into() } else { "–".into() },
        ]
    });
    table(&headers, rows.collect())
}

fn journal(rows: &[EventRow], language: Language) -> String {
    if rows.is_empty() {
        return nothing(language);
    }
    let headers = [
        ("#", "num"),
        (language.pick("时间", "Time"), ""),
        (language.pick("通道", "Lane"), "num"),
        (language.pick("事件", "Event"), ""),
        (language.pick("内容", "Body"), "body"),
    ];
    let rows = rows.iter().map(|event| {
        vec![
            format!("{}·{}", event.epoch, event.seq),
            event.clock.clone(),
            event.lane.map_or_else(|| "–".into(), |lane| lane.to_string()),
            format!("<b>{}</b>", escape(&event.kind)),
            format!(
                "<code>{}</code>",
                escape(event.body.split_once("\"event\":").map_or(&event.body, |(_, fact)| fact))
            ),
        ]
    });
    table(&headers, rows.collect())
}

fn alarms(rows: &[AlarmRow], now: i64, language: Language) -> String {
    if rows.is_empty() {
        return nothing(language);
    }
    let mut out = String::from(r#"<ul class="alarms">"#);
    for alarm in rows {
        let id = escape(&alarm.box_id);
        let times = if alarm.count > 1 { format!(" ×{}", alarm.count) } else { String::new() };
        let _ = write!(
            out,
            r#"<li><b>{}{times}</b> <a href="/box/{id}">{id}</a> <small>{}</small><p>{}</p></li>"#,
            alarm_name(&alarm.kind, language),
            ago(now - alarm.last_at, language),
            escape(&alarm.detail)
        );
    }
    out.push_str("</ul>");
    out
}

fn dead_letters(rows: &[DeadLetterRow], now: i64, language: Language) -> String {
    if rows.is_empty() {
        return nothing(language);
    }
    let mut out = String::from(r#"<ul class="alarms">"#);
    for letter in rows {
        let id = escape(&letter.box_id);
        let _ = write!(
            out,
            r#"<li><a href="/box/{id}">{id}</a> #{}·{} <small>{}</small><p>{} ({} B)</p></li>"#,
            letter.epoch,
            letter.seq,
            ago(now - letter.at, language),
            escape(&letter.reason),
            thousands(letter.bytes.unsigned_abs())
        );
    }
    out.push_str("</ul>");
    out
}

fn nothing(language: Language) -> String {
    format!(r#"<p class="empty">{}</p>"#, language.pick("暂无", "None"))
}

pub(super) fn table(headers: &[(&str, &str)], rows: Vec<Vec<String>>) -> String {
    let mut out = String::from(r#"<div class="scroll"><table><thead><tr>"#);
    for (text, class) in headers {
        let _ = write!(out, r#"<th class="{class}">{text}</th>"#);
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (cell, (_, class)) in row.iter().zip(headers) {
            let _ = write!(out, r#"<td class="{class}">{cell}</td>"#);
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    out
}
