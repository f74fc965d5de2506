-- Mails: one to one recipient. Written by whatever has something to tell, in its own transaction (write_mail,
-- write_invitation_mail); taken by notify (take_mails), begun before anything is handed over (begin_mail), and over
-- when they were sent, failed for good, were for nobody (skipped), or were handed over and nobody knows whether the
-- server took them (unknown): those are never sent again. No address stands here: it is read when a mail begins. Only
-- functions write it.
create table mails (
  tenant_id     uuid not null,
  -- Made of organization, recipient and key, so that the same mail written twice is one; also its Message-ID.
  mail_id       uuid not null,
  -- When it was written: which month the row is in.
  at            timestamptz not null,
  -- Its template (core/src/mail/templates).
  kind          text collate "C" not null check (kind in ('alert', 'invitation', 'report')),
  -- To whom: one of the organization's people, or whoever is invited.
  user_id       uuid,
  invitation_id uuid,
  -- What makes it one, beside its recipient: words and ids, such as 'alert/<id>/begun', and nobody's name.
  key           text collate "C" not null check (length(key) between 1 and 200),
  -- What the template needs; never a secret. Nothing is left of it when the mail is over.
  data          jsonb not null check (jsonb_typeof(data) = 'object' and length(data::text) <= 16000),
  -- The secret of an invitation, sealed by the service. Null when the mail is over.
  sealed        text collate "C",
  state         text collate "C" not null
    check (state in ('waiting', 'sending', 'sent', 'failed', 'skipped', 'unknown')),
  -- How often it was taken: whoever took it an earlier time says nothing any more.
  tries         int not null default 0 check (tries >= 0),
  -- When it is due: while somebody has it, when that somebody must have died.
  next_at       timestamptz,
  -- How the last try ended, or why there was none: one word.
  outcome       text collate "C" check (outcome ~ '^[a-z_]{1,40}$'),
  -- When it was handed to a mail server, or may have been: what counts against the most that a recipient gets.
  begun_at      timestamptz,
  finished_at   timestamptz,
  check (num_nonnulls(user_id, invitation_id) = 1),
  check ((kind = 'invitation') = (invitation_id is not null)),
  check ((state in ('waiting', 'sending')) = (next_at is not null)),
  check ((state in ('waiting', 'sending')) = (finished_at is null)),
  check ((state in ('sending', 'sent', 'unknown')) = (begun_at is not null)),
  check (finished_at is null or (sealed is null and data = '{}')),
  primary key (tenant_id, mail_id, at)
) partition by range (at);
-- Its months are made by history.make_months.

-- How many were written to people who are invited within a day (write_invitation_mail).
create index mails_to_invited on mails (tenant_id, at) where invitation_id is not null;
-- How many one recipient was sent within a day (begin_mail).
create index mails_begun on mails (tenant_id, user_id, begun_at) where begun_at is not null;
-- Those that are not over, the first due first: of one organization (take_mails), and from one organization to the next
-- (due_mailers in core/src/records/mails.rs).
create index mails_open on mails (tenant_id, next_at) where next_at is not null;
select protect('mails');

-- Whose mails are due, of every organization; of what and to whom, the functions say. `at` names the months to look at.
grant select (tenant_id, at, next_at) on mails to notify;
create policy notify_sees_open on mails for select to notify using (next_at is not null);
