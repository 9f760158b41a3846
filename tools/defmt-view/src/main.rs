//! Prints what a kernel logged by defmt: a line for each message, with its level and where in the source it was sent.
//!
//! The text of the messages is in the kernel's file and nowhere else, so this reads both that and the stream of bytes that
//! the kernel sent. With `--follow` it goes on as the stream grows, and starts again when another run empties it.
//!
//! It is a package of its own, outside the workspace's default members, since what decodes defmt brings dozens of crates
//! along: `cargo xtask` builds it when there is something to decode, and needs none of them itself.

mod kernel;
mod stream;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use kernel::Kernel;
use stream::Stream;

const USAGE: &str = "usage: defmt-view [--follow] KERNEL STREAM";

/// How often a stream that is followed is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// What goes wrong, for people.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let follow = words.first().is_some_and(|word| word == "--follow");
    words.drain(..usize::from(follow));
    let [kernel, stream] = words.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let (kernel, stream) = (PathBuf::from(kernel), PathBuf::from(stream));
    let result = if follow { go_on(kernel, Stream::new(stream)) } else { print_once(kernel, Stream::new(stream)) };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read this has had enough.
        Err(why) if why.downcast_ref::<io::Error>().is_some_and(|why| why.kind() == io::ErrorKind::BrokenPipe) => {
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("defmt-view: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the whole stream, which must end with a whole message.
fn print_once(kernel: PathBuf, mut stream: Stream) -> Result<(), Failure> {
    let kernel = Kernel::read(kernel)?;
    let mut decoder = kernel.decoder();
    decoder.take(&stream.read().map_err(|why| format!("the stream: {why}"))?);
    decoder.print(&mut io::stdout().lock())?;
    Ok(decoder.end()?)
}

/// Prints the stream as it grows, for ever.
fn go_on(file: PathBuf, mut stream: Stream) -> Result<(), Failure> {
    loop {
        // Another run may be one of another kernel.
        let mut piece = stream.wait(INTERVAL)?;
        let kernel = Kernel::read(file.clone())?;
        let mut decoder = kernel.decoder();
        loop {
            decoder.take(&piece);
            let mut output = io::stdout().lock();
            decoder.print(&mut output)?;
            output.flush()?;
            drop(output);
            if stream.has_started_again()? {
                break;
            }
            sleep(INTERVAL);
            piece = stream.read_if_there()?;
        }
    }
}
