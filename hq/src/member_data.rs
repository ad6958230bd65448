//! All that headquarters has of one member, to be handed to that member: the membership, the ledger of the face, the wallet,
//! purchases and points of every store. Of the PIN there is a keyed code here, which says nothing to anybody and is left out;
//! templates never came here.

use crate::dataset;
use crate::db::{self, Cell, Connection, Row};
use crate::faces;
use crate::store::now_ms;
use anyhow::Context as _;
use checkout::catalog::Member;
use serde_json::{Map, Value, json};

/// Tables with rows of members, and what of them is told; `?1` is the member. Columns are named: none joins by itself.
const TABLES: [(&str, &str); 6] = [
    (
        "mandate",
        "SELECT currency, balance, tap_limit, sale_limit, day_limit, until, signed_at, pin_mac IS NOT NULL AS pin_set
         FROM member_mandate WHERE member = ?1",
    ),
    ("charges", "SELECT box, tender, amount, currency, factor, state, reason, at FROM member_charge WHERE member = ?1 ORDER BY at, box, tender"),
    (
        "refunds",
        "SELECT r.box, r.tender, r.charge, r.amount, r.state, r.at FROM member_refund AS r
         JOIN member_charge AS c ON c.box = r.box AND c.tender = r.charge WHERE c.member = ?1 ORDER BY r.at, r.box, r.tender",
    ),
    ("notices", "SELECT kind, box, tender, amount, at, told FROM member_notice WHERE member = ?1 ORDER BY id"),
    (
        "points",
        "SELECT transaction_id, of, earned, burnt, taken, given FROM sale_points WHERE member = ?1 ORDER BY transaction_id, of",
    ),
    (
        "sales",
        "SELECT transaction_id, box, lane, receipt_no, at, total, discount, currency FROM sale WHERE member = ?1 ORDER BY at, transaction_id",
    ),
];

/// # Errors
/// When the database cannot be read, or nothing is known of such a member.
pub fn export(db: &Connection, member: &str) -> anyhow::Result<Value> {
    let mut told = Map::new();
    told.insert("made_at".into(), json!(now_ms()));
    told.insert("member".into(), json!(member));
    let membership = membership(db, member)?;
    let ledger = faces::log(db, member)?;
    let mut known = membership.is_some() || !ledger.is_empty();
    told.insert("membership".into(), json!(membership));
    told.insert("face".into(), json!(ledger));
    told.insert(
        "face_stored_at".into(),
        json!(rows(db, "SELECT box, at FROM face_stored WHERE member = ?1 ORDER BY box", member)?),
    );
    for (name, sql) in TABLES {
        let rows = rows(db, sql, member)?;
        known |= !rows.is_empty();
        told.insert(name.into(), Value::Array(rows));
    }
    anyhow::ensure!(known, "nothing is known here of a member {member}: give the id, such as m-001, not the code");
    Ok(Value::Object(told))
}

/// As it is given to the stores.
fn membership(db: &Connection, member: &str) -> anyhow::Result<Option<Member>> {
    let newest = dataset::newest(db)?;
    let Some(manifest) = newest.iter().find(|manifest| manifest.dataset == "members") else { return Ok(None) };
    let chunk =
        |hash: &String| dataset::chunk(db, hash)?.with_context(|| format!("chunk {hash} of the members is gone"));
    let chunks: Vec<Vec<u8>> = manifest.chunks.iter().map(chunk).collect::<anyhow::Result<_>>()?;
    let lines = dataset::unpack(manifest, &chunks)?;
    let mut members = lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Member>(line).ok());
    Ok(members.find(|one| one.id.0 == member))
}

fn rows(db: &Connection, sql: &str, member: &str) -> anyhow::Result<Vec<Value>> {
    let mut statement = db.prepare_cached(sql)?;
    let names: Vec<String> = statement.columns();
    let rows = statement.query_map([member], |row| object(row, &names))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn object(row: &Row<'_>, names: &[String]) -> db::Result<Value> {
    let value = |at: usize| {
        row.cell(at).map(|cell| match cell {
            Cell::Int(number) => json!(number),
            Cell::Text(text) => json!(text),
            Cell::Null | Cell::Blob(_) | Cell::Other => Value::Null,
        })
    };
    let fields = names.iter().enumerate().map(|(at, name)| value(at).map(|value| (name.clone(), value)));
    fields.collect::<db::Result<Map<_, _>>>().map(Value::Object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::params;
    use crate::store::Store;

    #[test]
    fn b22_a_member_gets_everything_headquarters_has_of_them_and_nothing_of_anybody_else() {
        let dir = tempfile::tempdir().unwrap();
        let mut db = Store::open(dir.path()).unwrap().writer().unwrap();
        let member = |id: &str, name: &str| -> Member {
            serde_json::from_value(json!({"id": id, "code": "M1", "name": name, "phone": "13900000000"})).unwrap()
        };
        let txn = db.transaction().unwrap();
        dataset::put(&txn, "members", "members-1", &[member("m-1", "王小明"), member("m-2", "Anna")]).unwrap();
        for (one, tender, n) in [("m-1", "t-1.1", 1), ("m-2", "t-2.1", 2)] {
            txn.execute(
                "INSERT INTO member_mandate (member, currency, balance, tap_limit, sale_limit, day_limit, signed_at, pin_salt, pin_mac)
                 VALUES (?1, 'CNY', 100, 0, 50, 80, 5, x'5a5a', x'a5a5a5a5')",
                [one],
            )
            .unwrap();
            txn.execute(
                "INSERT INTO member_charge (box, tender, member, amount, currency, factor, state, reason, at)
                 VALUES ('b1', ?2, ?1, 350, 'CNY', 'pin', 'approved', '', 7)",
                [one, tender],
            )
            .unwrap();
            txn.execute(
                "INSERT INTO member_refund (box, tender, charge, amount, state, at) VALUES ('b1', ?2, ?1, 350, 'approved', 8)",
                params![tender, format!("back-of-{tender}")],
            )
            .unwrap();
            txn.execute(
                "INSERT INTO member_notice (member, kind, box, tender, amount, at) VALUES (?1, 'charged', 'b1', ?2, 350, 7)",
                [one, tender],
            )
            .unwrap();
            txn.execute(
                "INSERT INTO sale_points (transaction_id, of, member, earned, burnt, taken, given) VALUES (?2, ?2, ?1, 3, 0, 0, 0)",
                [one, &format!("sale-{n}")],
            )
            .unwrap();
            txn.execute(
                "INSERT INTO sale (transaction_id, box, receipt_no, at, total, tax, discount, change, currency, member, epoch, seq, content)
                 VALUES (?2, 'b1', ?3, 7, 350, 0, 0, 0, 'CNY', ?1, 1, ?3, x'')",
                params![one, format!("sale-{n}"), n],
            )
            .unwrap();
            txn.execute(
                "INSERT INTO face_ledger (box, epoch, seq, member, what, at, detail) VALUES ('b1', 1, ?2, ?1, 'recognised', 6, '')",
                params![one, n],
            )
            .unwrap();
            txn.execute("INSERT INTO face_stored (member, box, at) VALUES (?1, 'b1', 6)", [one]).unwrap();
        }
        txn.commit().unwrap();
        let told = export(&db, "m-1").unwrap();
        for part in ["face", "face_stored_at", "mandate", "charges", "refunds", "notices", "points", "sales"] {
            assert_eq!(told[part].as_array().map(Vec::len), Some(1), "{part}: {told}");
        }
        assert_eq!((&told["membership"]["name"], &told["mandate"][0]["pin_set"]), (&json!("王小明"), &json!(1)));
        let text = told.to_string();
        for foreign in ["m-2", "Anna", "t-2.1", "sale-2", "pin_mac", "pin_salt", "template"] {
            assert!(!text.contains(foreign), "{foreign} is told: {text}");
        }
        assert!(export(&db, "m-3").unwrap_err().to_string().contains("m-3"));
    }

    /// A table that a later version adds with rows of members has to be told, too, or be named here as told otherwise.
    #[test]
    fn b22_no_table_about_members_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let db = Store::open(dir.path()).unwrap().writer().unwrap();
        let sql = "SELECT m.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c
            WHERE m.type = 'table' AND c.name = 'member' ORDER BY m.name";
        let mut statement = db.prepare_cached(sql).unwrap();
        let tables: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let told: String = TABLES.iter().map(|(_, sql)| *sql).collect();
        // The ledger and where templates lie are told by name; a withdrawal's place in the list of erasures stands in the ledger.
        let otherwise = ["face_ledger", "face_stored", "face_erasure"];
        assert!(tables.len() >= otherwise.len() + 4, "{tables:?}");
        for table in &tables {
            assert!(
                told.contains(&format!("FROM {table} ")) || otherwise.contains(&table.as_str()),
                "{table} is not told"
            );
        }
    }
}
