//! Which paths name a file: only what lies in the root once every link is followed, and nothing that hides behind a dot.
//!
//! `ServeDir` has decoded the path by the time it asks for a file, and refuses `..` and backslashes on its own. This
//! is where the rest is decided, on the path that is really opened rather than on the request's spelling of it. What is
//! refused looks exactly like what does not exist.
//!
//! Caveat: a link that changes between the check and the opening is not noticed. Whoever can write links into the root
//! can write files into it too.

use std::fs::Metadata;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use tower_http::services::fs::{Backend, TokioBackend, TokioFile};

/// A directory to serve, and the guard of its edges.
#[derive(Debug, Clone)]
pub struct Root(Arc<Path>);

impl Root {
    /// The directory at `path`, links resolved; an error if it is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        let resolved = path.canonicalize()?;
        if !resolved.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self(resolved.into()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The file or directory that `path` really is, if it may be served.
    async fn resolve(&self, path: &Path) -> io::Result<(PathBuf, Metadata)> {
        let inside = path.strip_prefix(&*self.0).map_err(|_| not_there())?;
        if !inside.components().all(is_public) {
            return Err(not_there());
        }
        let resolved = tokio::fs::canonicalize(path).await.map_err(no_such_name)?;
        if !resolved.starts_with(&*self.0) {
            return Err(not_there());
        }
        let metadata = tokio::fs::metadata(&resolved).await?;
        Ok((resolved, metadata))
    }
}

impl Backend for Root {
    type File = TokioFile;
    type Metadata = Metadata;
    type OpenFuture = Pin<Box<dyn Future<Output = io::Result<TokioFile>> + Send>>;
    type MetadataFuture = Pin<Box<dyn Future<Output = io::Result<Metadata>> + Send>>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let root = self.clone();
        Box::pin(async move {
            let (resolved, metadata) = root.resolve(&path).await?;
            // Opening a pipe would wait for its writer, and a device is no content.
            if !metadata.is_file() {
                return Err(not_there());
            }
            TokioBackend.open(resolved).await
        })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let root = self.clone();
        Box::pin(async move {
            let (_, metadata) = root.resolve(&path).await?;
            if metadata.is_file() || metadata.is_dir() {
                Ok(metadata)
            } else {
                Err(not_there())
            }
        })
    }
}

fn is_public(component: Component<'_>) -> bool {
    match component {
        Component::Normal(name) => !name.as_encoded_bytes().starts_with(b"."),
        Component::CurDir => true,
        _ => false,
    }
}

fn not_there() -> io::Error {
    io::ErrorKind::NotFound.into()
}

/// A name no file can have (too long, a NUL in it, a file where a directory should be, a circle of links) is one that no
/// file has. A disk that fails is something else, and stays what it is.
fn no_such_name(error: io::Error) -> io::Error {
    /// "Too many levels of symbolic links", the same number on every system we run on that has a name for it here.
    const ELOOP: i32 = if cfg!(target_os = "linux") { 40 } else { 62 };
    match error.kind() {
        io::ErrorKind::NotADirectory
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::InvalidFilename => not_there(),
        _ if error.raw_os_error() == Some(ELOOP) => not_there(),
        _ => error,
    }
}
