-- Metadata in which nobody of these is named any more. Its keys have no characters that an address needs.
create function history.scrub_metadata(p_metadata jsonb, p_people text[], p_names text[]) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select coalesce(jsonb_object_agg(e.key, case
    when history.names(e.value, p_people) or history.folded(e.value) = any (p_names) then 'erased'
    else e.value end), '{}')
  from jsonb_each_text(p_metadata) e
$$;
revoke execute on function history.scrub_metadata from public;

-- What people manage is little and blanked at once: invitations (an open one is taken back, since nobody can join with
-- it any more), API tokens, projects, webhooks (one whose address names the person is disabled, since nothing can be
-- sent there any more), alert rules, and of licenses and the organization itself the name and what the vendor's systems
-- wrote there, where they name the person.
create function history.erase_things(p_tenant uuid, p_erasure uuid, p_people text[], p_names text[], p_users uuid[],
  out invitations bigint, out api_tokens bigint, out projects bigint, out webhooks bigint, out alert_rules bigint,
  out licenses bigint,
  out organizations bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform history.begin_erasing(p_tenant, p_erasure);
  update public.invitations i
  set email = case when history.names(i.email, p_people) or i.accepted_by = any (p_users)
        then 'erased@erased.invalid' else i.email end,
      address = case when history.names(i.email, p_people) or i.accepted_by = any (p_users)
        then 'erased@erased.invalid' else i.address end,
      invited_by = case when history.names(i.invited_by, p_people) then 'erased' else i.invited_by end,
      revoked_at = case when history.names(i.email, p_people) and i.accepted_at is null
        then coalesce(i.revoked_at, now()) else i.revoked_at end
  where i.tenant_id = p_tenant and (history.names(i.email, p_people) or history.names(i.invited_by, p_people)
    or (i.accepted_by = any (p_users) and i.email <> 'erased@erased.invalid'));
  get diagnostics invitations = row_count;
  update public.api_tokens t
  set name = case when history.names(t.name, p_people) then 'erased' else t.name end,
      created_by = case when history.names(t.created_by, p_people) then 'erased' else t.created_by end
  where t.tenant_id = p_tenant and (history.names(t.name, p_people) or history.names(t.created_by, p_people));
  get diagnostics api_tokens = row_count;
  -- A project's name is taken once.
  update public.projects p set name = 'erased ' || p.project_id, key = 'erased ' || p.project_id,
    version = p.version + 1
  where p.tenant_id = p_tenant and history.names(p.name, p_people);
  get diagnostics projects = row_count;
  -- In a URL an address stands between other marks than in a text.
  update public.webhooks w
  set url = case when h.in_url then 'https://erased.invalid/' else w.url end,
      disabled_at = case when h.in_url then coalesce(w.disabled_at, now()) else w.disabled_at end,
      description = case when history.names(w.description, p_people) then 'erased' else w.description end,
      created_by = case when history.names(w.created_by, p_people) then 'erased' else w.created_by end,
      version = w.version + 1
  from (select u.webhook_id,
      history.names(translate(replace(u.url, '%40', '@'), '?&=#%', '     '), p_people) as in_url
    from public.webhooks u where u.tenant_id = p_tenant) h
  where w.tenant_id = p_tenant and w.webhook_id = h.webhook_id
    and (h.in_url or history.names(w.description, p_people) or history.names(w.created_by, p_people));
  get diagnostics webhooks = row_count;
  update public.alert_rules r
  set description = case when history.names(r.description, p_people) then 'erased' else r.description end,
      created_by = case when history.names(r.created_by, p_people) then 'erased' else r.created_by end,
      version = r.version + 1
  where r.tenant_id = p_tenant and (history.names(r.description, p_people) or history.names(r.created_by, p_people));
  get diagnostics alert_rules = row_count;
  -- What people call a license, and what the vendor's systems wrote beside what they sold.
  update public.licenses l
  set name = h.name, name_key = case when h.name is distinct from l.name then 'erased' else l.name_key end,
      note = h.note, external_id = h.external_id, metadata = h.metadata, version = l.version + 1
  from (select s.license_id, case when history.names(s.external_id, p_people) then null else s.external_id end
      as external_id, history.scrub_metadata(s.metadata, p_people, p_names) as metadata,
      case when history.names(s.name, p_people) or history.folded(s.name) = any (p_names) then 'erased' else s.name end
      as name,
      case when history.names(s.note, p_people) or history.folded(s.note) = any (p_names) then 'erased' else s.note end
      as note
    from public.licenses s where s.tenant_id = p_tenant
      and (s.external_id is not null or s.metadata <> '{}' or s.name is not null or s.note is not null)) h
  where l.tenant_id = p_tenant and l.license_id = h.license_id
    and (l.external_id, l.metadata, l.name, l.note) is distinct from (h.external_id, h.metadata, h.name, h.note);
  get diagnostics licenses = row_count;
  -- Who registered without a name for it gave it their own.
  update public.organizations o
  set name = h.name, name_key = h.name_key, external_id = h.external_id, metadata = h.metadata, version = o.version + 1
  from (select case when w.named then 'erased' else s.name end as name,
      case when w.named then 'erased' else s.name_key end as name_key,
      case when history.names(s.external_id, p_people) then null else s.external_id end as external_id,
      history.scrub_metadata(s.metadata, p_people, p_names) as metadata
    from public.organizations s,
      lateral (select history.names(s.name, p_people) or history.folded(s.name) = any (p_names)) w (named)
    where s.tenant_id = p_tenant) h
  where o.tenant_id = p_tenant
    and (o.name, o.external_id, o.metadata) is distinct from (h.name, h.external_id, h.metadata);
  get diagnostics organizations = row_count;
end $$;
revoke execute on function history.erase_things from public;
grant execute on function history.erase_things to admin;
