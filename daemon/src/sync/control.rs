//! Commands and configuration from headquarters: checked here, decided on in the core.

use super::Link;
use crate::approval;
use crate::core_loop::ToCore;
use anyhow::Result;
use checkout::Input;
use checkout::control::{Command, ControlInput, Desired};

impl Link<'_> {
    /// What is not headquarters' word for this box is told, once for each reason: somebody tries.
    pub(super) fn command(&mut self, payload: &[u8]) -> Result<()> {
        let signed = match self.verifier.open_own::<Command>(payload, "cmd") {
            Ok(signed) => signed,
            Err(error) => return self.control(ControlInput::Forged { reason: format!("on cmd: {error:#}") }),
        };
        let (rev, command) = (signed.rev, signed.doc);
        let (words, preimage) = (&command.approvals, command.preimage(&self.sync.box_id));
        let signatures = approval::agreed(words, &preimage, &self.sync.tenant, &self.sync.hq.approvers);
        self.control(ControlInput::Command { rev, command, signatures })
    }

    pub(super) fn desired(&mut self, payload: &[u8]) -> Result<()> {
        if payload.is_empty() {
            // Headquarters took a retained document away.
            return Ok(());
        }
        match self.verifier.open_own::<Desired>(payload, "desired") {
            Ok(signed) => {
                // Retained: where the port is behind, it comes again with the next connection.
                let _ = self.sync.desired.try_send((signed.rev, signed.doc.config));
                Ok(())
            }
            Err(error) => self.control(ControlInput::Forged { reason: format!("on desired: {error:#}") }),
        }
    }

    /// Retained, so that headquarters sees it whenever it looks.
    pub(super) fn report(&mut self) -> Result<()> {
        let reported = self.sync.picture.borrow().reported.clone();
        if reported == self.reported || !self.sync.uplink.is_welcome() {
            return Ok(());
        }
        if let Some(reported) = &reported {
            self.publish(self.topics.of("reported"), true, reported)?;
        }
        self.reported = reported;
        Ok(())
    }

    pub(super) fn control(&self, input: ControlInput) -> Result<()> {
        self.tell(ToCore::Input(Input::Control(input)))
    }
}
