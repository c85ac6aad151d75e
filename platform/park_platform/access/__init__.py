"""Who may do what: origins, sessions, the policy table and the brake on sign-in. Decides; storage keeps."""
