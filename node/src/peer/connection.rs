//! Both directions of one connection: frames out of a queue, and word that the other end lives.

use super::frame::{FRAME_BYTES, Frame, Kind};
use crate::components::Connection;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncWriteExt, BufWriter, ReadHalf, WriteHalf},
    sync::mpsc,
    time::timeout,
};

/// An idle connection says so this often.
pub(super) const PING_EVERY: Duration = Duration::from_millis(400);
/// A connection that says nothing for this long is dead: some networks lose a broken connection's
/// bytes for good, and only a new one goes on.
pub(super) const SILENT_AFTER: Duration = Duration::from_millis(1_600);

pub(super) type Reading = ReadHalf<Box<dyn Connection>>;
pub(super) type Writing = WriteHalf<Box<dyn Connection>>;

/// The next frame, or an error once the other end was silent for too long.
pub(super) async fn next(reading: &mut Reading) -> io::Result<Frame> {
    next_within(reading, FRAME_BYTES).await
}

/// The same, of somebody who may not say more than `most_bytes`.
pub(super) async fn next_within(reading: &mut Reading, most_bytes: usize) -> io::Result<Frame> {
    match timeout(SILENT_AFTER, Frame::read(reading, most_bytes)).await {
        Ok(frame) => frame,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the other end is silent",
        )),
    }
}

/// Writes frames as they come, several at once where they queue, and pings where none come.
pub(super) async fn write_all(
    writing: Writing,
    queue: &mut mpsc::Receiver<Frame>,
) -> io::Result<()> {
    let mut writing = BufWriter::with_capacity(128 << 10, writing);
    loop {
        let frame = match timeout(PING_EVERY, queue.recv()).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(()),
            Err(_) => Frame::bare(Kind::Ping),
        };
        write(&mut writing, &frame).await?;
        while let Ok(frame) = queue.try_recv() {
            write(&mut writing, &frame).await?;
        }
        writing.flush().await?;
    }
}

async fn write(writing: &mut BufWriter<Writing>, frame: &Frame) -> io::Result<()> {
    writing.write_all(&frame.header()).await?;
    writing.write_all(&frame.payload).await
}

/// Writes one frame by itself.
pub(super) async fn write_one(writing: &mut Writing, frame: &Frame) -> io::Result<()> {
    writing.write_all(&frame.header()).await?;
    writing.write_all(&frame.payload).await?;
    writing.flush().await
}
