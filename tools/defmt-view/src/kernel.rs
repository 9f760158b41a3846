//! A kernel's file: the text of its messages, and the places that send them.

use std::env;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use defmt_decoder::{DecodeError, Frame, Locations, StreamDecoder, Table};

use crate::Failure;

/// What a kernel's file says about its log.
#[derive(Debug)]
pub(crate) struct Kernel {
    table: Table,
    locations: Locations,
    /// Paths are shown from here on.
    directory: PathBuf,
}

impl Kernel {
    /// Reads a kernel's file. Without debug information the messages have no places.
    pub(crate) fn read(file: PathBuf) -> Result<Self, Failure> {
        let elf = fs::read(&file).map_err(|why| format!("{}: {why}", file.display()))?;
        let table = Table::parse(&elf)?.ok_or_else(|| format!("{} has no log", file.display()))?;
        let locations = table.get_locations(&elf)?;
        Ok(Self { table, locations, directory: env::current_dir()? })
    }

    /// A decoder for one run of this kernel.
    pub(crate) fn decoder(&self) -> Decoder<'_> {
        Decoder { kernel: self, stream: self.table.new_stream_decoder(), malformed: 0, rest: 0 }
    }

    fn line(&self, frame: &Frame<'_>) -> String {
        let level = frame.level().map_or("", |level| level.as_str()).to_uppercase();
        let message = frame.display_message();
        match self.locations.get(&frame.index()) {
            Some(place) => format!("{level:<5} {message} ({}:{})", self.shorten(&place.file).display(), place.line),
            None => format!("{level:<5} {message}"),
        }
    }

    fn shorten<'a>(&self, file: &'a Path) -> &'a Path {
        file.strip_prefix(&self.directory).unwrap_or(file)
    }
}

/// What decodes the stream of one run.
pub(crate) struct Decoder<'a> {
    kernel: &'a Kernel,
    stream: Box<dyn StreamDecoder + Send + Sync + 'a>,
    malformed: usize,
    /// Bytes since the last message's end.
    rest: usize,
}

impl fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("malformed", &self.malformed).field("rest", &self.rest).finish_non_exhaustive()
    }
}

impl Decoder<'_> {
    /// Takes in what has arrived.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.stream.received(bytes);
        // Every message ends with a zero byte, and has no other (defmt's encoding is rzCOBS).
        self.rest = match bytes.iter().rposition(|byte| *byte == 0) {
            Some(last) => bytes.len() - last - 1,
            None => self.rest + bytes.len(),
        };
    }

    /// Prints the messages that are complete.
    pub(crate) fn print(&mut self, output: &mut impl Write) -> io::Result<()> {
        loop {
            match self.stream.decode() {
                Ok(frame) => writeln!(output, "{}", self.kernel.line(&frame))?,
                Err(DecodeError::UnexpectedEof) => return Ok(()),
                Err(DecodeError::Malformed) => {
                    self.malformed += 1;
                    writeln!(output, "????? a message that is none of this kernel's")?;
                }
            }
        }
    }

    /// Tells what was wrong with a stream that has ended.
    pub(crate) fn end(self) -> Result<(), String> {
        match (self.malformed, self.rest) {
            (0, 0) => Ok(()),
            (0, rest) => Err(format!("the stream ends in the middle of a message, {rest} bytes into it")),
            (malformed, _) => Err(format!("{malformed} messages could not be decoded")),
        }
    }
}
