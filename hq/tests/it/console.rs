use crate::support::{Journal, TestBox, config, hq, sale_at, state};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::tempdir;
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
