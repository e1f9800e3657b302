//! Hosts Flex devices for other machines: `server ADDRESS [DEVICES]`.
//!
//! Prints the address that clients connect to, and serves until it is told to stop.

use std::error::Error;
use std::net::TcpListener;

use burn::server::{RemoteServer, WebSocketTransport};
use burn::tensor::Device;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments
        .next()
        .ok_or("usage: server ADDRESS [DEVICES], such as 0.0.0.0:3000")?;
    let devices = arguments.next().map_or(Ok(1), |devices| devices.parse())?;
    let listener = TcpListener::bind(address)?;
    println!("ws://{}", listener.local_addr()?);
    let devices = core::iter::repeat_with(Device::flex).take(devices);
    RemoteServer::new(devices).serve(WebSocketTransport::from_listener(listener))?;
    Ok(())
}
