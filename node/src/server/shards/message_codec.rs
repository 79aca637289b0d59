//! Many shards' messages in one frame: shard 2, length 4, the message's own bytes.

use bytes::{BufMut, Bytes, BytesMut};
use proto::{
    codec::{Malformed, Reader},
    id::ShardId,
};
use replication::{
    Message,
    codec::{decode_message, encode_message},
};

/// Adds one shard's message to a frame.
pub fn put(shard: ShardId, message: &Message, out: &mut BytesMut) {
    let bytes = encode_message(message);
    out.put_u16_le(shard.0);
    out.put_u32_le(u32::try_from(bytes.len()).expect("messages are limited to a few MiB"));
    out.put_slice(&bytes);
}

/// The messages of a frame. Entries' checksums are compared as they are read.
pub fn read(frame: &Bytes) -> Result<Vec<(ShardId, Message)>, Malformed> {
    let mut reader = Reader::new(frame, "replication frame");
    let mut messages = Vec::new();
    while !reader.rest().is_empty() {
        let shard = ShardId(reader.u16()?);
        let length = reader.u32()? as usize;
        let bytes = frame.slice_ref(reader.take(length)?);
        messages.push((shard, decode_message(&bytes)?));
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::id::{Epoch, Incarnation};
    use replication::{Fence, message::Body};

    #[test]
    fn messages_of_several_shards_read_back_and_a_torn_frame_does_not() {
        let message = |epoch| {
            let fence = Fence {
                incarnation: Incarnation(1),
                epoch: Epoch(epoch),
            };
            Message {
                fence,
                body: Body::Behind,
            }
        };
        let sent = vec![(ShardId(3), message(1)), (ShardId(900), message(2))];
        let mut out = BytesMut::new();
        sent.iter()
            .for_each(|(shard, message)| put(*shard, message, &mut out));
        let frame = out.freeze();
        assert_eq!(read(&frame).unwrap(), sent);
        assert!(read(&frame.slice(..frame.len() - 1)).is_err());
    }
}
