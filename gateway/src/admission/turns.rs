//! Turns: how many calls are begun at once.
//!
//! All calls that were let in, begun together, would keep everybody else from being read, or refused,
//! until the last of them is answered. So each waits for its turn, of which there are as many as threads
//! that run tasks, and lets connections go first once it has it. The turn is over when the call waits for
//! the first time: calls that wait for other nodes or for a disk hold nobody up.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::OnceLock,
};
use tokio::{runtime::Handle, sync::Semaphore, task::yield_now};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Turns(OnceLock<Semaphore>);

impl Turns {
    /// Does `work`, begun once it is its turn.
    pub(crate) async fn take<W: Future>(&self, work: W) -> W::Output {
        let turns = self.0.get_or_init(|| {
            let threads = Handle::current().metrics().num_workers();
            Semaphore::new(threads)
        });
        let mut turn = turns.acquire().await.ok();
        yield_now().await;
        let mut work = pin!(work);
        poll_fn(|context| {
            let polled = work.as_mut().poll(context);
            turn = None;
            polled
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{Arc, Mutex},
        task::Poll,
    };

    #[tokio::test]
    async fn who_came_in_between_goes_before_the_next_turn() {
        let (turns, heard) = (Arc::new(Turns::default()), Arc::<Mutex<Vec<_>>>::default());
        let mut calls = Vec::new();
        for call in 0..3 {
            let (turns, heard) = (Arc::clone(&turns), Arc::clone(&heard));
            calls.push(tokio::spawn(async move {
                let say = |what| heard.lock().unwrap().push(what);
                turns
                    .take(async {
                        say(format!("call {call}"));
                        // A connection that has something to say while the call is worked on.
                        let heard = Arc::clone(&heard);
                        tokio::spawn(async move {
                            heard.lock().unwrap().push(format!("connection {call}"));
                        });
                    })
                    .await;
            }));
        }
        for call in calls {
            call.await.unwrap();
        }
        let expected = (0..3).flat_map(|n| [format!("call {n}"), format!("connection {n}")]);
        assert_eq!(*heard.lock().unwrap(), expected.collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_call_that_waits_has_had_its_turn() {
        let turns = Turns::default();
        let mut slow = pin!(turns.take(std::future::pending::<()>()));
        let polled = poll_fn(|context| Poll::Ready(slow.as_mut().poll(context).is_ready()));
        assert!(!polled.await);
        yield_now().await;
        let polled = poll_fn(|context| Poll::Ready(slow.as_mut().poll(context).is_ready()));
        assert!(!polled.await, "it is begun, and waits");
        assert_eq!(turns.take(async { 7 }).await, 7);
    }
}
