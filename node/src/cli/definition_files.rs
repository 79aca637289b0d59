//! Definition files from disk. A folder stands for all definition files in it.

use super::failure::WrongUsage;
use anyhow::Context as _;
use std::{
    fs,
    path::{Path, PathBuf},
};
use wire::v1::DefinitionFile;

/// Reads the files, those of a folder in the order of their names.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<DefinitionFile>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = in_folder(path)?;
            if found.is_empty() {
                let message = format!("{} holds no .yaml, .yml or .json file", path.display());
                return Err(WrongUsage(message).into());
            }
            for path in found {
                files.push(read_one(&path)?);
            }
        } else {
            files.push(read_one(path)?);
        }
    }
    Ok(files)
}

fn in_folder(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read {}", folder.display()))?
            .path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if matches!(ending, Some("yaml" | "yml" | "json")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read_one(path: &Path) -> anyhow::Result<DefinitionFile> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(DefinitionFile {
        name: path.display().to_string(),
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_its_definition_files_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("b.yaml", "b"),
            ("a.yml", "a"),
            ("README.md", "no"),
            ("c.json", "c"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let files = read(&[folder.path().to_owned()]).unwrap();
        let texts: Vec<&str> = files.iter().map(|file| file.text.as_str()).collect();
        assert_eq!(texts, ["a", "b", "c"]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let missing = PathBuf::from("no-such-file.yaml");
        let message = read(&[missing]).unwrap_err().to_string();
        assert_eq!(message, "cannot read no-such-file.yaml");
        let folder = tempfile::tempdir().unwrap();
        let error = read(&[folder.path().to_owned()]).unwrap_err();
        assert!(error.is::<WrongUsage>());
    }
}
