//! The file to which a kernel's messages go, read piece by piece.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

/// A file that may grow, and be emptied, and not be there yet.
#[derive(Debug)]
pub(crate) struct Stream {
    path: PathBuf,
    /// How much of it has been read.
    position: u64,
}

impl Stream {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, position: 0 }
    }

    /// Reads what has been added.
    pub(crate) fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.position))?;
        let mut bytes = Vec::new();
        self.position += file.read_to_end(&mut bytes)? as u64;
        Ok(bytes)
    }

    /// Reads what has been added, if there is a file.
    pub(crate) fn read_if_there(&mut self) -> io::Result<Vec<u8>> {
        match self.read() {
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            result => result,
        }
    }

    /// Waits until there is something to read, and reads it.
    pub(crate) fn wait(&mut self, interval: Duration) -> io::Result<Vec<u8>> {
        loop {
            self.has_started_again()?;
            let bytes = self.read_if_there()?;
            if !bytes.is_empty() {
                return Ok(bytes);
            }
            sleep(interval);
        }
    }

    /// Whether the file has become shorter since it was read: then it is read from its start.
    pub(crate) fn has_started_again(&mut self) -> io::Result<bool> {
        let again = self.length()? < self.position;
        if again {
            self.position = 0;
        }
        Ok(again)
    }

    /// None if there is no file.
    fn length(&self) -> io::Result<u64> {
        match fs::metadata(&self.path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(why) => Err(why),
        }
    }
}
