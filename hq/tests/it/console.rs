use crate::support::{Journal, TestBox, config, db, hq, sale_at, state, tempdir};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) async fn get(at: SocketAddr, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_shows_what_boxes_said_in_two_languages_and_as_json() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let own = hq.http.to_string();
    assert!(get(hq.http, "/", &own).await.contains("No box has said hello yet"));

    let mut journal = Journal::default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    journal.add(sale_at("t-1", 7, 123_450, i64::try_from(now).unwrap()));
    journal.add(r#"{"utc":1,"event":{"<script>":{"alert(1)":{}}}}"#);
    journal.add("poison");
    let mut one = TestBox::connect(&hq, "box-1").await;
    one.hello(&journal).await;
    one.say("state", serde_json::to_vec(&state(true, 1, 1)).unwrap()).await;
    one.drain(&journal, 3).await;

    let page = get(hq.http, "/", &own).await;
    assert!(page.contains("script-src 'self'") && !page.contains("<script>"));
    for wanted in ["¥1,234.50", "box-1", "Nanjing Road", "printer", "not JSON", "<svg"] {
        assert!(page.contains(wanted), "{wanted}");
    }
    let chinese = get(hq.http, "/box/box-1?lang=zh", &own).await;
    assert!(chinese.contains("日志末尾") && chinese.contains("basket.completed") && chinese.contains("lang=zh"));
    assert!(chinese.contains("&lt;script&gt;.alert(1)") && !chinese.contains("<script>"));
    assert!(get(hq.http, "/box/none", &own).await.starts_with("HTTP/1.1 404"));

    for (found, words) in [
        (true, "q=BOX-1&sort=backlog"),
        (true, "version=0.1.0&state=down&sort=seen"),
        (false, "state=offline"),
        (false, "state=alarms&alarm=disk_full&sort=store"),
    ] {
        let list = get(hq.http, &format!("/fleet?{words}"), &own).await;
        assert_eq!(list.contains("/box/box-1"), found, "{words}: {list}");
    }
    the_json_says_the_same(hq.http, &own).await;
}

async fn the_json_says_the_same(at: SocketAddr, own: &str) {
    let sales = get(at, "/api/sales?box=box-1&transaction=t-1", own).await;
    assert!(sales.contains(r#""total":123450"#) && sales.contains(r#""name_en":"Tea""#), "{sales}");
    assert!(get(at, "/api/boxes", own).await.contains(r#""backlog":0"#));
    assert!(get(at, "/api/alarms", own).await.contains("[]"));
    assert!(get(at, "/api/dead-letters", own).await.contains(r#""seq":3"#));
    assert!(get(at, "/healthz", own).await.contains(r#""broker":true"#));
    assert!(get(at, "/", "evil.example").await.starts_with("HTTP/1.1 421"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_hears_of_a_sale() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut stream = TcpStream::connect(hq.http).await.unwrap();
    let request = format!("GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", hq.http);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut journal = Journal::default();
    journal.sell("t1", 100);
    let mut one = TestBox::connect(&hq, "box-1").await;
    one.drain(&journal, 1).await;
    let mut heard = String::new();
    let told = async {
        while !heard.contains("event: changed") {
            let mut bytes = [0; 512];
            let read = stream.read(&mut bytes).await.unwrap();
            assert!(read > 0);
            heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    };
    timeout(Duration::from_secs(10), told).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_reads_differences_in_words_and_amounts_in_either_language() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let own = hq.http.to_string();
    let page = get(hq.http, "/parity?lang=en", &own).await;
    assert!(page.contains("No difference") && page.contains("the sale that returned goods were bought in"), "{page}");
    let row = "INSERT INTO parity VALUES ('box-1', 1, 7, 't-1', 1, ?1, ?2, ?3, ?4)";
    for (what, place, expected, found) in [
        ("unit_price", "line 3", "350", "349"),
        ("member_level", "sale", "", "<gold>"),
        ("saving", "line 2 by 3for2", "100", "99"),
        ("tax_rate", "line 3", "900", "1300"),
    ] {
        db(&dir).execute(row, [what, place, expected, found]).unwrap();
    }
    let page = get(hq.http, "/parity?lang=en", &own).await;
    for wanted in ["Unit price", "3.50", "3.49", "Member&#39;s level", "the whole sale", "—", "&lt;gold&gt;", "13 %"]
    {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    let page = get(hq.http, "/parity?lang=zh", &own).await;
    for wanted in ["单价", "第 3 行", "第 2 行，促销 3for2", "会员等级", "整单", "总部算得", "退货对应的原交易"]
    {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    let json = get(hq.http, "/api/parity", &own).await;
    assert!(json.contains("Unit price, line 3: headquarters works out 3.50, the box recorded 3.49"), "{json}");
}
