mock_provider "google" {}

variables {
  project           = "example-dev"
  project_number    = "123456789012"
  region            = "us-central1"
  account           = "push@example-dev.iam.gserviceaccount.com"
  tick_topic        = "projects/example-dev/topics/tick"
  dead_letter_topic = "projects/example-dev/topics/dead"
  pushes = {
    tick = {
      topic = "projects/example-dev/topics/tick", url = "https://reaper-1.us-central1.run.app", path = "/tick"
    }
  }
}

run "an_address_that_pub_sub_does_not_reach" {
  command = plan

  variables {
    pushes = {
      tick = {
        topic = "projects/example-dev/topics/tick", url = "https://reaper.licenses.example.com", path = "/tick"
      }
    }
  }

  expect_failures = [var.pushes]
}

run "a_path_without_a_slash" {
  command = plan

  variables {
    pushes = {
      tick = {
        topic = "projects/example-dev/topics/tick", url = "https://reaper-1.us-central1.run.app", path = "tick"
      }
    }
  }

  expect_failures = [var.pushes]
}

run "a_topic_without_its_project" {
  command = plan

  variables {
    tick_topic = "tick"
  }

  expect_failures = [var.tick_topic]
}

run "dead_messages_in_a_circle" {
  command = plan

  variables {
    pushes = {
      dead = {
        topic = "projects/example-dev/topics/dead", url = "https://reaper-1.us-central1.run.app", path = "/reap"
      }
    }
  }

  expect_failures = [google_pubsub_subscription.push]
}
