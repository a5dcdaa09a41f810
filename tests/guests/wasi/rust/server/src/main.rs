// SPDX-License-Identifier: GPL-2.0-only
//! An HTTP/1.1 server on a socket that it was given: descriptor 3, or $LISTEN_FD.
//!
//! One connection at a time, kept alive while its client wants: wasm32-wasip1 has no threads.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
#[cfg(not(target_os = "wasi"))]
use std::os::unix::io::FromRawFd;
#[cfg(target_os = "wasi")]
use std::os::wasi::io::FromRawFd;

fn serve(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(&stream);
    loop {
        let (mut request, mut length, mut close) = (String::new(), 0usize, false);
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
                break;
            }
            let header = header.trim().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            close |= header == "connection: close";
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = request.split_whitespace();
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or("/"));
        if path == "/quit" {
            std::process::exit(0);
        }
        if method != "POST" {
            body = format!("hello from {path}\n").into_bytes();
        }
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend_from_slice(&body);
        (&stream).write_all(&answer)?;
        if close {
            return Ok(());
        }
    }
}

fn main() {
    let number = std::env::var("LISTEN_FD").map_or(3, |text| text.parse().unwrap());
    // SAFETY: nothing else owns this descriptor.
    let listener = unsafe { TcpListener::from_raw_fd(number) };
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => {
                // A client that goes away is its own business.
                let _ = serve(stream);
            }
            Err(error) => {
                eprintln!("server: {error}");
                std::process::exit(1);
            }
        }
    }
}
