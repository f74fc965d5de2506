-- Which kinds of mail a person does not want: written by the link in a mail, or by the person. A row stays when the
-- person wants them again. Of invitations there is none: they go to who does not belong yet.
create table mail_refusals (
  tenant_id  uuid not null references organizations,
  user_id    uuid not null,
  kind       text collate "C" not null check (kind in ('alert', 'report')),
  refused    boolean not null,
  changed_at timestamptz not null default now(),
  primary key (tenant_id, user_id, kind),
  foreign key (tenant_id, user_id) references users
);
select protect('mail_refusals');

grant select, insert on mail_refusals to admin;
grant update (refused, changed_at) on mail_refusals to admin;
