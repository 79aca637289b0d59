//! Time and randomness as the gateway takes them.

use crate::components::{Clock, Entropy};
use std::sync::Arc;

/// The node's clock.
pub struct GatewayClock(pub Arc<dyn Clock>);

impl gateway::edge::Clock for GatewayClock {
    fn monotonic_micros(&self) -> u64 {
        self.0.now().monotonic_micros()
    }

    fn wall_micros(&self) -> u64 {
        self.0.now().wall_micros
    }

    fn busy_micros(&self) -> Option<u64> {
        self.0.busy_micros()
    }
}

/// The node's randomness.
pub struct GatewayEntropy(pub Arc<dyn Entropy>);

impl gateway::edge::Randomness for GatewayEntropy {
    fn random_u128(&self) -> u128 {
        self.0.bits()
    }
}
