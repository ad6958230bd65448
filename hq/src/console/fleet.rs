//! The fleet as a list that stays quick with ten thousand boxes: the database filters, sorts and pages, and the page holds one
//! screen of it.

use super::pages::{box_table, panel, shell};
use super::read::{self, BoxRow, LATELY_MS};
use super::words::{Language, alarm_name, escape, thousands};
use super::{chart, pages};
use crate::db::{self, Connection, Row, Value, params};
use crate::store::now_ms;
use serde::Deserialize;
use std::fmt::Write as _;

const PAGE: u64 = 50;
/// A fleet so small is shown whole.
const FEW: u64 = 12;
/// Events; a box that sells is a few behind at any moment.
const BACKLOG_NOTABLE: i64 = 1000;
/// A box that is there says something every quarter of a minute.
const SILENT_MS: i64 = 60_000;
const DOWN: &str = r#"instr(devices, '":false') > 0"#;

/// What is asked of the list; every word of it may come from outside.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    pub(super) lang: Option<String>,
    /// `offline`, `silent`, `behind`, `down`, `alarms`; anything else: all.
    pub(super) state: String,
    /// Part of the name of a box or its store.
    pub(super) q: String,
    pub(super) version: String,
    pub(super) book: String,
    /// Kind of an alarm of the last day.
    pub(super) alarm: String,
    /// `id`, `store`, `seen`, `backlog`, `version`; anything else: those offline first.
    pub(super) sort: String,
    pub(super) page: u64,
}

/// How the whole fleet does.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) boxes: i64,
    pub(crate) online: i64,
    pub(crate) silent: i64,
    pub(crate) behind: i64,
    pub(crate) down: i64,
    pub(crate) alarms: i64,
    /// Events headquarters does not have yet.
    pub(crate) backlog: i64,
}

#[derive(Debug)]
pub(super) struct Found {
    now: i64,
    counts: Counts,
    /// That are as asked.
    boxes: i64,
    rows: Vec<BoxRow>,
    /// Version or price book, and how many boxes have it.
    versions: Vec<(String, i64)>,
    books: Vec<(String, i64)>,
    newest_price_book: Option<String>,
}

pub(crate) fn counts(db: &Connection) -> anyhow::Result<Counts> {
    let sql = format!(
        "SELECT count(*), coalesce(sum(online), 0), count(CASE WHEN last_seen < ?1 THEN 1 END), count(CASE WHEN head - acked > {BACKLOG_NOTABLE} THEN 1 END),
                count(CASE WHEN {DOWN} THEN 1 END), coalesce(sum(max(head - acked, 0)), 0) FROM box"
    );
    let now = now_ms();
    let mut counts = db.prepare_cached(&sql)?.query_row([now - SILENT_MS], |row| {
        Ok(Counts {
            boxes: row.get(0)?,
            online: row.get(1)?,
            silent: row.get(2)?,
            behind: row.get(3)?,
            down: row.get(4)?,
            backlog: row.get(5)?,
            alarms: 0,
        })
    })?;
    let alarms = "SELECT count(DISTINCT box) FROM alarm WHERE last_at >= ?1";
    counts.alarms = db.prepare_cached(alarms)?.query_row([now - LATELY_MS], |row| row.get(0))?;
    Ok(counts)
}

/// `rest`: a condition with its order and limit. Without sales.
pub(super) fn rows(db: &Connection, rest: &str, values: &[Value]) -> anyhow::Result<Vec<BoxRow>> {
    let sql = format!(
        "SELECT id, store, online, last_seen, version, journal, epoch, boot, head, acked, price_book, devices, exposure
         FROM box WHERE {rest}"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(values, box_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn box_row(row: &Row<'_>) -> db::Result<BoxRow> {
    let (head, acked): (i64, i64) = (row.get(8)?, row.get(9)?);
    let devices: String = row.get(11)?;
    Ok(BoxRow {
        id: row.get(0)?,
        store: row.get(1)?,
        online: row.get(2)?,
        last_seen: row.get(3)?,
        version: row.get(4)?,
        journal: row.get(5)?,
        epoch: row.get(6)?,
        boot: row.get(7)?,
        head,
        acked,
        backlog: (head - acked).max(0),
        price_book: row.get(10)?,
        devices: serde_json::from_str(&devices).unwrap_or_default(),
        sales_today: 0,
        total_today: 0,
        currency: String::new(),
        exposure: row.get(12)?,
    })
}

/// Today's sales of the boxes on one page, each by its index.
fn with_sales(db: &Connection, mut rows: Vec<BoxRow>) -> anyhow::Result<Vec<BoxRow>> {
    let sql =
        "SELECT count(*), coalesce(sum(total), 0), coalesce(min(currency), '') FROM sale WHERE box = ?1 AND at >= ?2";
    let (mut sold, today) = (db.prepare_cached(sql)?, db.today_ms()?);
    for row in &mut rows {
        (row.sales_today, row.total_today, row.currency) =
            sold.query_row(params![row.id, today], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    }
    Ok(rows)
}

pub(super) fn one(db: &Connection, id: &str) -> anyhow::Result<Option<BoxRow>> {
    Ok(with_sales(db, rows(db, "id = ?", &[Value::Text(id.to_owned())])?)?.pop())
}

/// Boxes that somebody should look at; a small fleet is shown whole.
pub(super) fn to_look_at(db: &Connection) -> anyhow::Result<Vec<BoxRow>> {
    let all: u64 = db.query_row("SELECT count(*) FROM box", [], |row| row.get(0))?;
    let troubled = format!(
        "(online = 0 OR head - acked > {BACKLOG_NOTABLE} OR {DOWN} OR id IN (SELECT box FROM alarm WHERE last_at >= ?))"
    );
    let which = if all <= FEW { "CAST(? AS BIGINT) IS NOT NULL" } else { &troubled };
    let rest = format!("{which} ORDER BY online, last_seen DESC, id LIMIT {FEW}");
    with_sales(db, rows(db, &rest, &[Value::Int(now_ms() - LATELY_MS)])?)
}

pub(super) fn find(db: &Connection, query: &Query) -> anyhow::Result<Found> {
    let (which, values) = query.condition();
    let boxes = format!("SELECT count(*) FROM box WHERE {which}");
    let boxes: i64 = db.prepare_cached(&boxes)?.query_row(values.as_slice(), |row| row.get(0))?;
    let order = match query.sort.as_str() {
        "id" => "id",
        "store" => "store, id",
        "seen" => "last_seen, id",
        "backlog" => "head - acked DESC, id",
        "version" => "version, id",
        _ => "online, last_seen DESC, id",
    };
    let first = query.page.min(1_000_000) * PAGE;
    let rest = format!("{which} ORDER BY {order} LIMIT {PAGE} OFFSET {first}");
    let having = |column: &str| -> anyhow::Result<Vec<(String, i64)>> {
        let sql = format!("SELECT {column}, count(*) FROM box GROUP BY 1 ORDER BY 2 DESC LIMIT 8");
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    Ok(Found {
        now: now_ms(),
        counts: counts(db)?,
        boxes,
        rows: with_sales(db, rows(db, &rest, &values)?)?,
        versions: having("version")?,
        books: having("price_book")?,
        newest_price_book: read::newest_price_book(db)?,
    })
}

impl Query {
    /// Words from outside are values, never SQL.
    fn condition(&self) -> (String, Vec<Value>) {
        let (mut all, mut values) = (vec!["1 = 1".to_owned()], Vec::new());
        match self.state.as_str() {
            "offline" => all.push("online = 0".into()),
            "silent" => {
                all.push("last_seen < ?".into());
                values.push(Value::Int(now_ms() - SILENT_MS));
            }
            "behind" => all.push(format!("head - acked > {BACKLOG_NOTABLE}")),
            "down" => all.push(DOWN.into()),
            "alarms" => {
                all.push("id IN (SELECT box FROM alarm WHERE last_at >= ?)".into());
                values.push(Value::Int(now_ms() - LATELY_MS));
            }
            _ => {}
        }
        if !self.q.is_empty() {
            all.push("(instr(lower(id), lower(?)) > 0 OR instr(lower(store), lower(?)) > 0)".into());
            values.extend([Value::Text(self.q.clone()), Value::Text(self.q.clone())]);
        }
        for (column, wanted) in [("version", &self.version), ("price_book", &self.book)] {
            if !wanted.is_empty() {
                all.push(format!("{column} = ?"));
                values.push(Value::Text(wanted.clone()));
            }
        }
        if !self.alarm.is_empty() {
            all.push("id IN (SELECT box FROM alarm WHERE last_at >= ? AND kind = ?)".into());
            values.extend([Value::Int(now_ms() - LATELY_MS), Value::Text(self.alarm.clone())]);
        }
        (all.join(" AND "), values)
    }

    /// The same list with one word otherwise, from its first page on; ready to stand in an attribute.
    fn with(&self, name: &str, value: &str) -> String {
        let page = self.page.to_string();
        let words = [
            ("state", self.state.as_str()),
            ("q", &self.q),
            ("version", &self.version),
            ("book", &self.book),
            ("alarm", &self.alarm),
            ("sort", &self.sort),
            ("page", if name == "page" { &page } else { "" }),
        ];
        let mut link = String::from("/fleet?");
        for (word, before) in words {
            let said = if word == name { value } else { before };
            if !said.is_empty() {
                let _ = write!(link, "{word}={}&amp;", pages::in_address(said));
            }
        }
        link.truncate(link.trim_end_matches("&amp;").trim_end_matches('?').len());
        link
    }
}

pub(super) fn page(found: &Found, query: &Query, up: bool, language: Language) -> String {
    let mut main = String::new();
    let title = language.pick("门店盒", "Fleet");
    let _ = write!(main, "<h1>{title}</h1>{}", chips(found, query, language));
    main.push_str(&form(found, query, language));
    let note = match language {
        Language::Zh => format!("{} 台", thousands(found.boxes.unsigned_abs())),
        Language::En => {
            format!("{} of {}", thousands(found.boxes.unsigned_abs()), thousands(found.counts.boxes.unsigned_abs()))
        }
    };
    let newest = found.newest_price_book.as_deref();
    let table = box_table(&found.rows, found.now, newest, Some(&|sort: &str| query.with("sort", sort)), language);
    main.push_str(&panel(title, &note, &(table + &pager(found, query, language))));
    shell(title, "/fleet", &main, up, language)
}

/// How the fleet does, as a bar and as filters with a number each.
fn chips(found: &Found, query: &Query, language: Language) -> String {
    let counts = &found.counts;
    let offline = counts.boxes - counts.online;
    let mut out = chart::shares(&[("good", counts.online), ("bad", offline)], counts.boxes);
    out.push_str(r#"<nav class="chips">"#);
    for (state, word, count) in [
        ("", language.pick("全部", "All"), counts.boxes),
        ("offline", language.pick("离线", "Offline"), offline),
        ("silent", language.pick("一分钟无消息", "Silent for a minute"), counts.silent),
        ("behind", language.pick("积压", "Behind"), counts.behind),
        ("down", language.pick("设备故障", "Device down"), counts.down),
        ("alarms", language.pick("今日告警", "Alarm today"), counts.alarms),
    ] {
        let here = if query.state == state { r#" aria-current="true""# } else { "" };
        let (link, count) = (query.with("state", state), thousands(count.unsigned_abs()));
        let _ = write!(out, r#"<a href="{link}"{here}>{word} <b>{count}</b></a>"#);
    }
    out.push_str("</nav>");
    out
}

fn form(found: &Found, query: &Query, language: Language) -> String {
    let mut out = String::from(r#"<form class="filter" action="/fleet">"#);
    let hint = language.pick("盒子或门店名", "Box or store");
    let _ = write!(out, r#"<input name="q" value="{}" placeholder="{hint}" aria-label="{hint}">"#, escape(&query.q));
    for (name, all, had, chosen) in [
        ("version", language.pick("所有版本", "Every version"), &found.versions, &query.version),
        ("book", language.pick("所有价格本", "Every price book"), &found.books, &query.book),
    ] {
        let _ = write!(out, r#"<select name="{name}" aria-label="{all}"><option value="">{all}</option>"#);
        for (value, count) in had.iter().filter(|(value, _)| !value.is_empty()) {
            let (selected, value) = (if value == chosen { " selected" } else { "" }, escape(value));
            let _ = write!(out, r#"<option value="{value}"{selected}>{value} ({count})</option>"#);
        }
        out.push_str("</select>");
    }
    for (name, value) in [("state", &query.state), ("alarm", &query.alarm), ("sort", &query.sort)] {
        if !value.is_empty() {
            let _ = write!(out, r#"<input type="hidden" name="{name}" value="{}">"#, escape(value));
        }
    }
    let _ = write!(out, "<button>{}</button>", language.pick("筛选", "Filter"));
    if !query.alarm.is_empty() {
        let name = alarm_name(&query.alarm, language);
        let _ = write!(out, r#"<a class="chip" href="{}">{name} ✕</a>"#, query.with("alarm", ""));
    }
    out.push_str("</form>");
    out
}

fn pager(found: &Found, query: &Query, language: Language) -> String {
    let last = (found.boxes.unsigned_abs().max(1) - 1) / PAGE;
    if last == 0 {
        return String::new();
    }
    let mut out = String::from(r#"<nav class="pager">"#);
    if query.page > 0 {
        let to = (query.page - 1).min(last).to_string();
        let _ = write!(out, r#"<a href="{}">← {}</a>"#, query.with("page", &to), language.pick("上一页", "Back"));
    }
    let _ = write!(out, "<span>{} / {}</span>", query.page + 1, last + 1);
    if query.page < last {
        let to = (query.page + 1).to_string();
        let _ = write!(out, r#"<a href="{}">{} →</a>"#, query.with("page", &to), language.pick("下一页", "Next"));
    }
    out.push_str("</nav>");
    out
}
