//! HTTP/2 by hand, as far as callers take it that misbehave: what no library would send.

/// What a connection begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame of a message.
pub const DATA: u8 = 0;
/// The frame that begins a call.
pub const HEADERS: u8 = 1;
/// What one side tells the other of itself.
pub const SETTINGS: u8 = 4;
/// How much more one side takes.
pub const WINDOW: u8 = 8;
/// A stream's last frame.
pub const END_STREAM: u8 = 1;
/// The headers are whole.
pub const END_HEADERS: u8 = 4;
/// What one frame holds at most, unless both sides agree on more.
const FRAME_BYTES: usize = 16 << 10;
/// The largest window.
const WHOLE_WINDOW: u32 = i32::MAX as u32;

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is small");
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The beginning of a connection that opens its windows as far as can be.
pub fn opening() -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    let mut window = vec![0, 4];
    window.extend(WHOLE_WINDOW.to_be_bytes());
    bytes.extend(frame(SETTINGS, 0, 0, &window));
    let usual = (64 << 10) - 1;
    bytes.extend(frame(WINDOW, 0, 0, &(WHOLE_WINDOW - usual).to_be_bytes()));
    bytes
}

/// The headers of a call: names and values as they are, none of them compressed.
pub fn headers_of(path: &str) -> Vec<u8> {
    let mut block = Vec::new();
    let all = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "gateway"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    for (name, value) in all {
        header(&mut block, name, value);
    }
    block
}

/// One more header of a block.
pub fn header(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        length(block, text.len());
        block.extend(text.as_bytes());
    }
}

/// A length as HPACK writes it, in 7 bits or after them.
fn length(block: &mut Vec<u8>, length: usize) {
    if length < 127 {
        block.push(length as u8);
        return;
    }
    block.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// A message of gRPC behind its length, in as many frames as it takes; `flags` are those of the last.
pub fn message(stream: u32, message: &[u8], flags: u8) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a message is far below 4 GiB");
    let mut body = vec![0];
    body.extend(length.to_be_bytes());
    body.extend(message);
    let mut bytes = Vec::new();
    let frames = body.chunks(FRAME_BYTES);
    let last = frames.len() - 1;
    for (place, part) in frames.enumerate() {
        let flags = if place == last { flags } else { 0 };
        bytes.extend(frame(DATA, flags, stream, part));
    }
    bytes
}

/// A whole call.
pub fn call(stream: u32, path: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = frame(HEADERS, END_HEADERS, stream, &headers_of(path));
    bytes.extend(message(stream, body, END_STREAM));
    bytes
}
