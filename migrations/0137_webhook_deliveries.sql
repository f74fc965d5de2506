-- Deliveries: one event for one webhook. Written when the event is published (write_deliveries), taken for a try at a
-- time (take_deliveries), over when it was delivered, failed for good, or has nobody to go to (skipped). Only functions
-- write it.
create table webhook_deliveries (
  tenant_id   uuid not null,
  webhook_id  uuid not null,
  event_id    uuid not null,
  -- When the event was written (outbox.created_at): which month the row is in.
  at          timestamptz not null,
  kind        text collate "C" not null,
  state       text collate "C" not null check (state in ('waiting', 'delivered', 'failed', 'skipped')),
  -- How often it was taken since it was enqueued or replayed: whoever took it an earlier time says nothing any more.
  tries       int not null default 0 check (tries >= 0),
  -- When it is due: while somebody tries it, when that somebody must have died.
  next_at     timestamptz,
  -- What came of the last 20 tries: objects with at, outcome, status, ms and answer.
  attempts    jsonb not null default '[]'
    check (jsonb_typeof(attempts) = 'array' and jsonb_array_length(attempts) <= 20),
  finished_at timestamptz,
  check ((state = 'waiting') = (next_at is not null)),
  check ((state = 'waiting') = (finished_at is null)),
  primary key (tenant_id, webhook_id, event_id, at)
) partition by range (at);
-- Its months are made by history.make_months.

-- Those that wait, the first due first: of one webhook (take_deliveries), and from one webhook to the next
-- (due_webhooks in core/src/records/deliveries.rs). Who looks for one row by its key says `next_at` and not
-- `state = 'waiting'`, so that no plan takes this one for it.
create index webhook_deliveries_waiting on webhook_deliveries (webhook_id, next_at) where state = 'waiting';
select protect('webhook_deliveries');

grant select on webhook_deliveries to admin;
-- Who is due, of every organization; of what and to where, the functions say. `at` names the months to look at.
grant select (tenant_id, webhook_id, at, state, next_at) on webhook_deliveries to notify;
create policy notify_sees_waiting on webhook_deliveries for select to notify using (state = 'waiting');
