//! Files elsewhere: objects of a store, or of this machine, named by `s3://`, `gs://`, `az://` or
//! `file://`. Credentials come from the environment alone, under the names that each store's own
//! tools use.

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{
    ObjectStore, ObjectStoreExt as _, WriteMultipart, aws::AmazonS3Builder,
    azure::MicrosoftAzureBuilder, gcp::GoogleCloudStorageBuilder, local::LocalFileSystem,
    path::Path as ObjectPath,
};
use std::{fs::File, io::Write as _, path::PathBuf, sync::Arc};

/// Objects above this are sent in parts of this size.
const PART_BYTES: usize = 8 << 20;
/// Parts of one object that are under way at once.
const PARTS_IN_FLIGHT: usize = 4;

/// A folder, or an object, of a store.
#[derive(Debug, Clone)]
pub struct Place {
    store: Arc<dyn ObjectStore>,
    path: ObjectPath,
    url: String,
}

/// Something went wrong with a place.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The text names none.
    #[error(
        "{0:?} is no place; write s3://BUCKET/PATH, gs://BUCKET/PATH, az://CONTAINER/PATH or file:///PATH"
    )]
    NoPlace(String),
    /// The store cannot be used as the environment describes it.
    #[error(
        "cannot use {url}: {cause}; credentials and endpoint come from the environment (AWS_ACCESS_KEY_ID, \
         AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL; GOOGLE_…; AZURE_STORAGE_…)"
    )]
    Store {
        /// The place.
        url: String,
        /// What the store said.
        cause: object_store::Error,
    },
    /// The machine failed.
    #[error("cannot copy {url} to this machine: {cause}")]
    Io {
        /// The place.
        url: String,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// The path on this machine that a `file://` URL names.
#[must_use]
pub fn local(url: &str) -> Option<PathBuf> {
    url.strip_prefix("file://").map(PathBuf::from)
}

/// Whether a text names a place and no file of this machine.
#[must_use]
pub fn is_url(text: &str) -> bool {
    text.contains("://")
}

impl Place {
    /// The place that a URL names. Nothing is asked of the store yet.
    pub fn open(url: &str) -> Result<Self, PlaceError> {
        let no_place = || PlaceError::NoPlace(url.to_owned());
        let failed = |cause| PlaceError::Store {
            url: url.to_owned(),
            cause,
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(no_place)?;
        let (bucket, path) = match scheme {
            "file" => ("", rest),
            _ => rest.split_once('/').unwrap_or((rest, "")),
        };
        if bucket.is_empty() != (scheme == "file") {
            return Err(no_place());
        }
        // It comes second where something else of the process chose one before: that is used then.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root = format!("{scheme}://{bucket}");
        let store: Arc<dyn ObjectStore> = match scheme {
            "s3" => Arc::new(s3(&root).build().map_err(failed)?),
            "gs" => Arc::new(
                GoogleCloudStorageBuilder::from_env()
                    .with_url(root)
                    .build()
                    .map_err(failed)?,
            ),
            "az" => Arc::new(
                MicrosoftAzureBuilder::from_env()
                    .with_url(root)
                    .build()
                    .map_err(failed)?,
            ),
            "file" => Arc::new(LocalFileSystem::new()),
            _ => return Err(no_place()),
        };
        let path = ObjectPath::parse(path.trim_matches('/'));
        Ok(Self {
            store,
            path: path.map_err(|error| failed(error.into()))?,
            url: url.trim_end_matches('/').to_owned(),
        })
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A place in this folder.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let path = name.split('/').fold(self.path.clone(), ObjectPath::join);
        Self {
            store: Arc::clone(&self.store),
            path,
            url: format!("{}/{name}", self.url),
        }
    }

    fn failed(&self, cause: object_store::Error) -> PlaceError {
        PlaceError::Store {
            url: self.url.clone(),
            cause,
        }
    }

    /// Writes the object as a whole: nobody sees a part of it.
    pub async fn put(&self, bytes: Bytes) -> Result<(), PlaceError> {
        if bytes.len() <= PART_BYTES {
            let put = self.store.put(&self.path, bytes.into()).await;
            return put.map(drop).map_err(|error| self.failed(error));
        }
        let upload = self.store.put_multipart(&self.path).await;
        let upload = upload.map_err(|error| self.failed(error))?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        for start in (0..bytes.len()).step_by(PART_BYTES) {
            let room = upload.wait_for_capacity(PARTS_IN_FLIGHT).await;
            room.map_err(|error| self.failed(error))?;
            upload.put(bytes.slice(start..bytes.len().min(start + PART_BYTES)));
        }
        let done = upload.finish().await;
        done.map(drop).map_err(|error| self.failed(error))
    }

    /// The object's bytes; none where there is no such object. For small ones.
    pub async fn get(&self) -> Result<Option<Bytes>, PlaceError> {
        match self.store.get(&self.path).await {
            Ok(found) => found
                .bytes()
                .await
                .map(Some)
                .map_err(|error| self.failed(error)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Copies the object to a file of this machine.
    pub async fn download(&self, mut file: &File) -> Result<(), PlaceError> {
        let io = |cause| PlaceError::Io {
            url: self.url.clone(),
            cause,
        };
        let found = self.store.get(&self.path).await;
        let mut bytes = found.map_err(|error| self.failed(error))?.into_stream();
        while let Some(piece) = bytes.next().await {
            let piece = piece.map_err(|error| self.failed(error))?;
            file.write_all(&piece).map_err(io)?;
        }
        Ok(())
    }

    /// Removes the object, if it is there.
    pub async fn delete(&self) -> Result<(), PlaceError> {
        match self.store.delete(&self.path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// The names of all objects in this folder, in order.
    pub async fn names(&self) -> Result<Vec<String>, PlaceError> {
        let found = self.store.list(Some(&self.path));
        let found: Vec<_> = found
            .try_collect()
            .await
            .map_err(|error| self.failed(error))?;
        let name = |meta: &object_store::ObjectMeta| {
            let parts = meta.location.prefix_match(&self.path)?;
            let parts: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
            Some(parts.join("/"))
        };
        let mut names: Vec<String> = found.iter().filter_map(name).collect();
        names.sort();
        Ok(names)
    }
}

/// An S3 store; one on this machine, for development, speaks without TLS.
fn s3(root: &str) -> AmazonS3Builder {
    let builder = AmazonS3Builder::from_env().with_url(root);
    let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    match endpoint {
        Some(endpoint) if endpoint.starts_with("http://") => builder.with_allow_http(true),
        _ => builder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_place_is_refused_with_the_forms() {
        for text in ["a/b", "ftp://a/b", "s3:///b", "s3://", "://"] {
            let message = Place::open(text).unwrap_err().to_string();
            assert!(message.contains("write s3://BUCKET/PATH"), "{message}");
        }
        assert_eq!(local("file:///a/b"), Some(PathBuf::from("/a/b")));
    }

    #[tokio::test]
    async fn objects_of_this_machine_are_written_listed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", folder.path().display());
        let place = Place::open(&url).unwrap();
        assert_eq!(place.join("a").get().await.unwrap(), None);
        place
            .join("b/c")
            .put(Bytes::from_static(b"c"))
            .await
            .unwrap();
        let large = Bytes::from(vec![7; 2 * PART_BYTES + 1]);
        place.join("a").put(large.clone()).await.unwrap();
        assert_eq!(place.names().await.unwrap(), ["a", "b/c"]);
        assert_eq!(place.join("a").get().await.unwrap(), Some(large));
        let copy = tempfile::NamedTempFile::new().unwrap();
        place.join("b/c").download(copy.as_file()).await.unwrap();
        assert_eq!(std::fs::read_to_string(copy.path()).unwrap(), "c");
        place.join("a").delete().await.unwrap();
        place.join("a").delete().await.unwrap();
        assert_eq!(place.names().await.unwrap(), ["b/c"]);
    }
}
