//! The names in nodes' certificates. Nodes are known by cluster and id, never by where they answer:
//! addresses change, and are told by others.

use proto::id::{ClusterId, NodeId};

const ENDING: &str = ".atoll";

/// What every node of a cluster is called.
pub(super) fn of_all(cluster: ClusterId) -> String {
    format!("nodes.{cluster}{ENDING}")
}

/// What one node is called.
pub(super) fn of(cluster: ClusterId, node: NodeId) -> String {
    format!("{node}.{cluster}{ENDING}")
}

/// Whether a name is of this kind.
pub(super) fn is_ours(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.ends_with(ENDING) || name == "atoll"
}
