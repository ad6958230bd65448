//! As much of HTTP/1.1 as one request and one answer need, without I/O.

const HEAD_MAX: usize = 16 * 1024;
const BODY_MAX: usize = 512 * 1024;

pub(super) fn request(host: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /nexo HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Of a request; an empty body says that it was heard.
pub(super) fn answer(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    More,
    /// Status code (0 of a request), body, bytes used up.
    Whole(u16, Vec<u8>, usize),
    /// Not HTTP, or longer than anything a terminal says.
    Nonsense,
}

/// The first whole message in `bytes`: an answer, or a request for the stand-in.
pub(super) fn read(bytes: &[u8]) -> Read {
    let beginning = bytes.get(..5).unwrap_or(bytes);
    if !b"HTTP/".starts_with(beginning) && !b"POST ".starts_with(beginning) {
        return Read::Nonsense;
    }
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if bytes.len() > HEAD_MAX { Read::Nonsense } else { Read::More };
    };
    let (head, rest) = bytes.split_at_checked(end + 4).unwrap_or((bytes, &[]));
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status = lines.next().and_then(|first| first.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse().ok());
    let mut length = None;
    let mut chunked = false;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match name.trim().to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse::<usize>().ok(),
            "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    let status = status.unwrap_or(0);
    if chunked {
        return match chunks(rest) {
            Chunks::Whole(body, used) => Read::Whole(status, body, end + 4 + used),
            Chunks::More if rest.len() <= BODY_MAX => Read::More,
            Chunks::More | Chunks::Nonsense => Read::Nonsense,
        };
    }
    match length.unwrap_or(0) {
        length if length > BODY_MAX => Read::Nonsense,
        length => match rest.get(..length) {
            Some(body) => Read::Whole(status, body.to_vec(), end + 4 + length),
            None => Read::More,
        },
    }
}

enum Chunks {
    More,
    Whole(Vec<u8>, usize),
    Nonsense,
}

fn chunks(bytes: &[u8]) -> Chunks {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or(&[]);
        let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else {
            return if rest.len() > 32 { Chunks::Nonsense } else { Chunks::More };
        };
        let size = rest.get(..line).and_then(|line| core::str::from_utf8(line).ok());
        let size = size.and_then(|line| usize::from_str_radix(line.split(';').next()?.trim(), 16).ok());
        let Some(size) = size.filter(|size| *size <= BODY_MAX) else {
            return Chunks::Nonsense;
        };
        let Some(chunk) = rest.get(line + 2..line + 2 + size + 2) else {
            return Chunks::More;
        };
        at += line + 2 + size + 2;
        if size == 0 {
            return Chunks::Whole(body, at);
        }
        body.extend_from_slice(chunk.get(..size).unwrap_or(&[]));
        if body.len() > BODY_MAX {
            return Chunks::Nonsense;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_whole_in_chunks_or_not_at_all() {
        let plain = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP";
        assert_eq!(read(plain), Read::Whole(200, b"{}".to_vec(), plain.len() - 4));
        assert_eq!(read(&plain[..30]), Read::More);
        let chunked = b"HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x\r\n}\r\n0\r\n\r\n";
        assert_eq!(read(chunked), Read::Whole(500, b"{}".to_vec(), chunked.len()));
        for cut in 0..chunked.len() {
            assert_eq!(read(&chunked[..cut]), Read::More, "{cut}");
        }
        assert_eq!(read(b"\x04\x0f"), Read::Nonsense);
        assert_eq!(read(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n"), Read::Nonsense);
    }
}
