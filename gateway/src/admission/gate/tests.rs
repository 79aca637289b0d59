//! What those are told who wait in vain.

use super::*;
use crate::admission::answers::tests::Hands;
use std::sync::atomic::Ordering;

/// What one is told that waits with `timeout` until its time is over, and then somebody leaves.
async fn in_vain(timeout: Duration) -> Failure {
    let clock = Arc::<Hands>::default();
    let gate = Gate::new(Arc::clone(&clock) as Arc<dyn Clock>, Refusals::default());
    let mut inside = Vec::new();
    while inside.len() < gate.fill(Class::Lookup).limit {
        inside.push(gate.enter(Class::Lookup, Duration::MAX).await.unwrap());
    }
    let Asking::Waits(waiting) = gate.ask(Class::Lookup, timeout) else {
        panic!("it should wait");
    };
    clock.0.store(LOOKUPS.wait_micros + 1, Ordering::Relaxed);
    inside.pop();
    waiting.await.map(drop).unwrap_err()
}

#[tokio::test]
async fn who_waited_in_vain_is_asked_back_unless_its_deadline_passed() {
    let crowded = in_vain(Duration::from_secs(1)).await;
    assert_eq!(crowded.reason, Reason::Overloaded);
    assert!(crowded.retry_after.is_some());
    let late = in_vain(Duration::from_millis(1)).await;
    assert_eq!(late.reason, Reason::Deadline);
}
