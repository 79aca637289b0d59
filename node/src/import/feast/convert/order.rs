//! The order in which people read a definition: its name first, what it holds last.

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::Value;

const ORDER: [&str; 9] = [
    "name",
    "type",
    "keys",
    "entity",
    "ttl",
    "owner",
    "description",
    "tags",
    "features",
];

/// Writes definitions with their fields in that order.
pub fn serialize<S: Serializer>(definitions: &[Value], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(definitions.iter().map(Ordered))
}

struct Ordered<'a>(&'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(fields) => {
                let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
                let place = |name: &str| ORDER.iter().position(|known| *known == name);
                fields.sort_by_key(|(name, _)| place(name).unwrap_or(ORDER.len()));
                let mut map = to.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, &Self(value))?;
                }
                map.end()
            }
            Value::Array(items) => to.collect_seq(items.iter().map(Self)),
            plain => plain.serialize(to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Definitions;
    use serde_json::json;

    #[test]
    fn a_definition_begins_with_its_name() {
        let definitions = Definitions {
            project: "shop".into(),
            entities: vec![json!({ "keys": [{ "type": "int64", "name": "id" }], "name": "user" })],
            views: Vec::new(),
            services: Vec::new(),
        };
        let yaml = serde_saphyr::to_string(&definitions).unwrap();
        let expected =
            "project: shop\nentities:\n- name: user\n  keys:\n  - name: id\n    type: int64\n";
        assert!(yaml.starts_with(expected), "{yaml}");
    }
}
